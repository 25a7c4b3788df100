"""Hosts that live side by side, one bare and one preloaded, and are measured in turn; all
on one processor, which they inherit from here."""
import contextlib
import os
import resource
import shutil
import statistics
import subprocess
import sys

from rule import Row

SLICE_NS = 3e6      # one slice: some milliseconds
SLICES = 20         # of each host of a pair

SPARE = 200         # descriptors besides those that are counted

all_processors = os.sched_getaffinity(0)
running = []        # processes to end, whatever happens


def say(text):
    print(text, file=sys.stderr, flush=True)


def pin():
    """To the last processor that may be used; which one that is."""
    processor = max(all_processors)
    os.sched_setaffinity(0, {processor})
    return processor


@contextlib.contextmanager
def unpinned():
    """For other tools: strace and what it traces take turns, which on one processor is
    another thing than on two."""
    pinned_to = os.sched_getaffinity(0)
    os.sched_setaffinity(0, all_processors)
    yield
    os.sched_setaffinity(0, pinned_to)


def room_for(n):
    """So many descriptors, or as many as this system lets a process have, less some."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < n + SPARE:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, n + SPARE))
        except ValueError:
            return hard - SPARE
    return n


def start(*arguments, **options):
    process = subprocess.Popen(*arguments, **options)
    running.append(process)
    return process


def end(process):
    if process.poll() is None:
        process.kill()
    process.wait(20)
    running.remove(process)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()


def end_all():
    for process in list(running):
        end(process)


class Bench:
    def __init__(self, build, pairs, scratch):
        self.build, self.pairs, self.scratch = os.path.abspath(build), pairs, scratch
        self.library = self.installed("libsockleak.so")
        self.empty = self.installed("tests/bench/empty_preload.so")

    def installed(self, path):
        """Of a file that was copied the kernel keeps larger pieces than of one that the
        linker has just written, and maps more of it at a time: three page faults of 150."""
        copy = os.path.join(self.scratch, os.path.basename(path))
        subprocess.run(["install", "-m", "644", os.path.join(self.build, path), copy], check=True)
        return copy

    def tool(self, name):
        return os.path.join(self.build, "tests/bench", name)

    def environment(self, preload, options=None):
        kept = {k: v for k, v in os.environ.items()
                if k not in ("LD_PRELOAD", "SOCKLEAK_OPTIONS")}
        if preload:
            kept["LD_PRELOAD"] = preload
        if options:
            kept["SOCKLEAK_OPTIONS"] = options
        return kept


class Host:
    """A program of this folder that answers each line with one."""

    def __init__(self, bench, arguments, preload=None, under=(), options=None,
                 stderr=subprocess.DEVNULL):
        self.what = " ".join(map(str, arguments))
        self.process = start([*under, bench.tool(arguments[0]), *map(str, arguments[1:])],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                             text=True, env=bench.environment(preload, options))

    def line(self):
        line = self.process.stdout.readline()
        if not line.endswith("\n"):
            raise RuntimeError(f"{self.what}: ended")
        return line

    def await_ready(self):
        if self.line().strip() != "ready":
            raise RuntimeError(f"{self.what}: did not get ready")
        return self

    def ask(self, number=""):
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        return self.line()

    def end(self):
        end(self.process)


PROCESSOR, CLOCK = 0, 1


class Loop(Host):
    """One that does so many rounds when told to; see loops.c."""

    def __init__(self, bench, arguments, preload=None, under=(), options=None):
        super().__init__(bench, ["loops", *arguments], preload, under, options)

    def round_ns(self, n, which=PROCESSOR):
        """Of processor time, which other programs of the machine do not lengthen, or of
        the clock's."""
        return float(self.ask(n).split()[which])


def in_turn(bare, preloaded, slices=SLICES):
    """Measures both so often; first the one, then the other is first.  Two lists."""
    results = [], []
    for turn in range(slices):
        for which in (0, 1) if turn % 2 else (1, 0):
            results[which].append((bare, preloaded)[which]())
    return results


def loop_row(bench, what, bound, arguments, which=PROCESSOR, options=None):
    row = Row(what, bound)
    for _ in range(bench.pairs):
        loops = [Loop(bench, arguments), Loop(bench, arguments, bench.library,
                                             options=options)]
        for loop in loops:
            loop.await_ready()
        rounds = max(1, int(SLICE_NS / min(loops[0].round_ns(50, CLOCK) for _ in range(4))))
        row.add(*in_turn(*(lambda loop=loop: loop.round_ns(rounds, which) for loop in loops)))
        for loop in loops:
            loop.end()
    return row


PEER_PAIRS = 3
PEER_TURN_S = 0.12


def loop_peers(bench, arguments):
    """The same loop under other tools, by the bare time of the same moment."""
    peers = {}
    log = os.path.join(bench.scratch, "strace")
    ways = {"unw_backtrace per call": dict(preload=bench.tool("unwind_preload.so")),
            "valgrind --tool=none --track-fds=yes":
                dict(under=("valgrind", "-q", "--tool=none", "--track-fds=yes")),
            "strace -f -k": dict(under=("strace", "-f", "-k", "-o", log))}
    for name, way in ways.items():
        if "under" in way and not shutil.which(way["under"][0]):
            continue
        loops = [Loop(bench, arguments), Loop(bench, arguments, **way)]
        for loop in loops:
            loop.await_ready()
        rounds = max(5, int(PEER_TURN_S * 1e9 / loops[1].round_ns(20, CLOCK)))
        peers[name] = statistics.median(
            loops[1].round_ns(rounds, CLOCK) / loops[0].round_ns(rounds, CLOCK)
            for _ in range(PEER_PAIRS))
        for loop in loops:
            loop.end()
        if os.path.exists(log):
            os.remove(log)
    return peers
