"""Servers, bare and preloaded, side by side: what a request takes of their processor time,
and how long it takes by the clock."""
import glob
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

from hosts import Host, end, in_turn, say, start
from rule import Row

SLICE_NS = 5e6      # of processor time of the server
WARM = 3            # turns, and pauses in which the helper unwinds
PAUSE_S = 0.06
AT_ONCE = 8         # requests under way
PEER_PAIRS = 3

NGINX = """
worker_processes 1;
pid {dir}/pid;
error_log {dir}/error crit;
daemon off;
events {{ worker_connections 512; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
    uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
    server {{ listen 127.0.0.1:{port}; location / {{ {answer} }} }}
}}
"""

PYTHON = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"hello\\n")
    def log_message(self, *anything):
        pass
http.server.HTTPServer.request_queue_size = 64
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""

NODE = """
require("http").createServer((request, answer) => {
    answer.writeHead(200, {"Content-Length": 6});
    answer.end("hello\\n");
}).listen(+process.argv[1], "127.0.0.1");
"""

servers_running = []


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def stop_all():
    for server in list(servers_running):
        server.stop()


class Server:
    """One that listens on self.port; what is asked of it comes from `client`."""

    def __init__(self, bench, preload=None, under=()):
        self.bench, self.port = bench, free_port()
        self.process = start([*under, *self.command()], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, env=bench.environment(preload),
                             start_new_session=True)
        servers_running.append(self)
        self.client = None
        until = time.monotonic() + 20
        while not self.answers():
            if time.monotonic() > until:
                raise RuntimeError(f"{type(self).__name__} did not start")
            time.sleep(0.02)

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def used_ns(self):
        """Processor time of the process, of its children, and of all their threads."""
        total, pids = 0, [self.process.pid]
        for pid in pids:
            for task in glob.glob(f"/proc/{pid}/task/*"):
                with open(f"{task}/schedstat") as file:
                    total += int(file.read().split()[0])
                with open(f"{task}/children") as file:
                    pids += file.read().split()
        return total

    def load(self, how, n):
        """n requests, as many at a time as `how` says: the client's words."""
        if not self.client:
            self.client = Host(self.bench, ["load", *how, self.port])
        return self.client.ask(n).split()

    def request_ns(self, how, n):
        before = self.used_ns()
        self.load(how, n)
        return (self.used_ns() - before) / n

    def stop(self):
        if self.client:
            self.client.end()
        servers_running.remove(self)
        end(self.process)


class Nginx(Server):
    answer = 'return 200 "hello\\n";'

    def command(self):
        self.directory = tempfile.mkdtemp(dir=self.bench.scratch)
        os.chmod(self.directory, 0o755)
        path = os.path.join(self.directory, "conf")
        with open(path, "w") as file:
            file.write(NGINX.format(dir=self.directory, port=self.port, answer=self.answer))
        return [shutil.which("nginx") or "/usr/sbin/nginx", "-p", self.directory, "-c", path,
                "-e", os.path.join(self.directory, "error")]

    def stop(self):
        """Asks the master to end: under strace the one that is started is another."""
        try:
            with open(os.path.join(self.directory, "pid")) as file:
                os.kill(int(file.read()), signal.SIGTERM)
            self.process.wait(30)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            say(f"nginx in {self.directory}: {error}")
        super().stop()

    def wrk_ns(self, headers, seconds=2):
        """The time of a request by the clock: wrk keeps the one worker busy."""
        out = subprocess.run(["wrk", "-t1", "-c8", f"-d{seconds}s", "--timeout", "20s", *headers,
                              f"http://127.0.0.1:{self.port}/"], text=True,
                             capture_output=True, check=True).stdout
        rate = re.search(r"Requests/sec:\s+([0-9.]+)", out)
        if not rate or "Non-2xx" in out or "Socket errors" in out:
            raise RuntimeError(out)
        return 1e9 / float(rate[1])


def proxy_of(port):
    """nginx that opens a connection to the server at `port` for each request."""
    return type("Proxy", (Nginx,), {"answer": f"proxy_pass http://127.0.0.1:{port};"})


class Redis(Server):
    def command(self):
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                "--appendonly", "no", "--dir", self.bench.scratch]

    def load(self, how, n):
        subprocess.run(["redis-benchmark", "-h", "127.0.0.1", "-p", str(self.port), "-t", "get",
                        "-n", str(n), "-c", str(AT_ONCE), "-k", how, "-q"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


class Python(Server):
    def command(self):
        return ["/usr/bin/python3", "-c", PYTHON, str(self.port)]


class Node(Server):
    def command(self):
        return ["node", "-e", NODE, str(self.port)]


class Pair:
    """A bare and a preloaded server, warm; `n` requests of each are one slice."""

    def __init__(self, bench, kind, how):
        self.servers = [kind(bench), kind(bench, bench.library)]
        self.how, self.n = how, 100
        for turn in range(WARM):
            for server in self.servers:
                server.load(how, self.n)
            time.sleep(PAUSE_S)
        self.n = max(1, int(SLICE_NS / self.servers[0].request_ns(how, self.n)))

    def in_turn(self, measure):
        """measure(server), of both in turn: two lists."""
        return in_turn(*(lambda one=one: measure(one) for one in self.servers))

    def end(self):
        for server in self.servers:
            server.stop()


def server_row(bench, what, bound, kind, how):
    row = Row(what, bound)
    for _ in range(bench.pairs):
        pair = Pair(bench, kind, how)
        row.add(*pair.in_turn(lambda server: server.request_ns(how, pair.n)))
        pair.end()
    return row


def proxy_row(bench, what, bound):
    """Both pass their requests on to one server, which is bare."""
    behind = Nginx(bench)
    row = server_row(bench, what, bound, proxy_of(behind.port), ("keep", AT_ONCE))
    behind.stop()
    return row


def nginx_peers(bench, headers):
    """Under other tools, by the bare time of the same moment."""
    peers = {}
    log = os.path.join(bench.scratch, "strace")
    ways = {"valgrind --tool=none --track-fds=yes":
            ("valgrind", "-q", "--tool=none", "--track-fds=yes"),
            "strace -f -k": ("strace", "-f", "-k", "-o", log)}
    for name, under in ways.items():
        if not shutil.which(under[0]):
            continue
        bare, other = Nginx(bench), Nginx(bench, under=under)
        try:
            peers[name] = statistics.median(other.wrk_ns(headers) / bare.wrk_ns(headers)
                                            for _ in range(PEER_PAIRS))
        except (ZeroDivisionError, RuntimeError):
            say(f"{name}: not one request in a turn, or an error")
        bare.stop()
        other.stop()
        if os.path.exists(log):
            os.remove(log)
    return peers


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def latency_rows(bench):
    """One connection at a time, by the client's clock, and how many a second there are
    where more are under way."""
    p50 = Row("nginx, one new connection at a time: p50 of its time", 1.03)
    p99 = Row("the same: p99", None)
    busy = Row(f"the same, {AT_ONCE} at a time: time by the clock (throughput)", 1.03)
    for _ in range(bench.pairs):
        pair = Pair(bench, Nginx, ("close", 1))
        slices = pair.in_turn(lambda server: [float(word) for word in
                                              server.load(pair.how, pair.n)[1:]])
        p50.add(*([statistics.median(one) for one in side] for side in slices))
        p99.add(*([percentile([ns for one in side for ns in one], 0.99)] for side in slices))
        for server in pair.servers:
            server.client.end()
            server.client = None
        busy.add(*pair.in_turn(lambda server: float(server.load(("close", AT_ONCE), pair.n)[0])))
        pair.end()
    return [p50, p99, busy]
