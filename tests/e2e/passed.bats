#!/usr/bin/env bats
# Sockets that are passed over Unix sockets to a worker, also by way of a third process,
# are the opener's leaks, whatever order the processes began and ended in.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
	without_runtime "Python has no runtime of its own"
	cat >passed.py <<'EOF'
import array, os, socket, sys, time

N = 5

def send(over, fd):
    over.sendmsg([b"f"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])

def receive(over):
    _, control, _, _ = over.recvmsg(1, socket.CMSG_SPACE(4))
    return array.array("i", control[0][2])[0]

def opener():
    listener = socket.create_server(("127.0.0.1", 0))
    for _ in range(N):
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        send(to_middle, accepted.fileno())
        accepted.close()
        client.close()
    end("opener")

def middle():
    for _ in range(N):
        fd = receive(from_opener)
        send(to_worker, fd)
        os.close(fd)
    end("middle")

def worker():
    fds = [receive(from_middle) for _ in range(N)]
    for fd in fds:
        os.read(fd, 1)
    end("worker")

def end(who):
    if "%s-first" % who not in sys.argv:
        os.close(others_wait)
        os.read(wait, 1) # until all others are here or have ended
    os._exit(0)

to_middle, from_opener = socket.socketpair()
to_worker, from_middle = socket.socketpair()
wait, others_wait = os.pipe()
parts = {"opener": opener, "middle": middle, "worker": worker}
children = []
for name in sys.argv[1].split(","):
    children.append(os.fork())
    if children[-1] == 0:
        parts[name]()
os.close(others_wait)
for child in children:
    os.waitpid(child, 0)
EOF
}

# passed ORDER [WHO-first]: the report of a run
passed() {
	"$sockleak" run --quiet --json=json -O "thread=$thread" -- /usr/bin/python3 passed.py "$@"
	valid_report json
}

@test "a socket that is passed on twice is its opener's, whoever began and ended first" {
	local thread order

	for thread in yes no; do
		for order in opener,middle,worker worker,middle,opener middle,opener,worker; do
			passed "$order"
			equal '[[5,"accept4",null]]' "$(of '[.leaks[] | [.count, .call, .origin_note]]')"
			passed "$order" opener-first middle-first
			equal '[[5,"accept4",null]]' "$(of '[.leaks[] | [.count, .call, .origin_note]]')"
		done
	done
}
