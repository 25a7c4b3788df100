#!/usr/bin/env bats
# The ledger tells each leak however its process ended.

setup() {
	load ../lib/preload
	go=$BATS_TEST_TMPDIR/go
	ledgers=$BATS_TEST_TMPDIR/ledgers
	mkdir -m 700 "$ledgers"
	options="ledger='$ledgers':log=none:grace=50ms:interval=10ms"
}

# reported JQ: the JSON report over all ledgers satisfies the filter
reported() {
	# jq is content with a file that is empty.
	"$B/sockleak" report --json "$ledgers" >"$BATS_TEST_TMPDIR/report.json" &&
		jq -e "$1" "$BATS_TEST_TMPDIR/report.json" || {
		cat "$BATS_TEST_TMPDIR/report.json"
		return 1
	}
}

@test "after exit, _exit and quick_exit the verdicts stand in the ledger" {
	for end in exit _exit quick; do
		rm -f "$ledgers"/*
		logged "$options" "$actor" open 2 leave read $end 0
		reported '.processes[0].ended == "exit" and .leaks[0].count == 2 and
			.leaks[0].call == "accept" and .leaks[0].origin[0].function == "take" and
			.leaks[0].eof[0].function == "read_end"'
	done
}

@test "after kill -9 the leaks known at the last look are told, with their origin" {
	begin "$options" "$actor" open 3 leave until "$go"
	wait_until 60 reported '.leaks[0].count == 3 and .processes[0].ended == "running"'
	kill -9 "$host"
	wait "$host" || true
	reported '.leaks[0].count == 3 and .leaks[0].origin[0].function == "take" and
		.leaks[0].sockets[0].verdict == "grace" and .processes[0].ended != "running"'
}

@test "what a killed program was told of and kept is a leak, younger than grace too" {
	begin "ledger='$ledgers':log=none:interval=10ms" "$actor" open 1 leave read until "$go"
	wait_until 60 reported '.processes[0].open > 0 and (.leaks + .pending | length) > 0'
	kill -9 "$host"
	wait "$host" || true
	reported '.leaks[0].count == 1 and .leaks[0].sockets[0].verdict == "exit"'
}

# killed_now JQ: what a report would say if the host were killed now.  In a copy of its
# ledger it has begun at another time (start_ticks, byte 32), so that what runs with its pid is another process.
killed_now() {
	mkdir -p "$ledgers.copy"
	cp "$ledgers"/*.sockleak "$ledgers.copy/copy.sockleak" &&
		printf '\1' | dd of="$ledgers.copy/copy.sockleak" bs=1 seek=32 conv=notrunc status=none &&
		"$B/sockleak" report --json "$ledgers.copy" | jq -e "$1"
}

@test "a backtrace stands in the ledger as soon as it was unwound, not by the next look" {
	export TMPDIR=$BATS_TEST_TMPDIR
	begin "ledger='$ledgers':log=none:interval=1h:grace=1h" "$B/tests/fixtures/run_host" leak 1 wait "$go" lose wait never
	wait_until 60 killed_now '[.leaks[].origin[].function] | index("leak")'
	: >"$go"
	wait_until 60 killed_now '[.leaks[] | (.origin, .eof)[].function | select(. == "leak" or . == "lose")]
		| sort == ["leak", "leak", "leak", "leak", "lose", "lose"]'
	kill "$host"
	wait "$host" || true
}

@test "what a killed process could not unwind any more is said to be pending" {
	# Without the helper backtraces are unwound at exit.
	begin "$options:thread=no" "$actor" open 2 leave linger 200 until "$go"
	wait_until 60 reported '.leaks[0].count == 2'
	kill -9 "$host"
	wait "$host" || true
	reported '.leaks[0] | .count == 2 and .call == "accept" and .origin == []'
	"$B/sockleak" report "$ledgers" >"$errors"
	says '^    origin: pending, its backtrace was captured, and the process ended before it was unwound$'
}

@test "without the helper, too, the ledger of a killed process has room for all" {
	begin "$options:thread=no" "$actor" open 300 leave open 300 leave linger 200 until "$go"
	wait_until 60 reported '([(.leaks, .pending)[].count] | add) == 600'
	kill -9 "$host"
	wait "$host" || true
	reported '([(.leaks, .pending)[].count] | add) == 600 and .processes[0].dropped == 0'
}

@test "what a killed process opened between two scans has room, too, with the helper and without" {
	local thread said=$BATS_TEST_TMPDIR/said
	ulimit -S -n 8000 || skip "eight thousand descriptors are not permitted here"
	for thread in yes no; do
		rm -f "$ledgers"/*
		begin "ledger='$ledgers':log=none:interval=1h:grace=1h:thread=$thread" \
			"$actor" open 3000 leave read say done until "$go" >"$said"
		wait_until 120 grep done "$said"
		kill -9 "$host"
		wait "$host" || true
		reported '([.leaks[].count] | add) == 3000'
	done
}

@test "so has what a process passes on between two scans" {
	local thread
	ulimit -S -n 8000 || skip "eight thousand descriptors are not permitted here"
	for thread in yes no; do
		rm -f "$ledgers"/*
		logged "ledger='$ledgers':log=none:interval=1h:grace=1h:thread=$thread" /usr/bin/python3 -c '
import socket
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
a, b = socket.socketpair()
kept = []
for _ in range(3000):
	with socket.socket() as passed:
		socket.send_fds(a, [b"x"], [passed.fileno()])
	kept.append(socket.recv_fds(b, 1, 1)[1])'
		reported '.processes[0].opened > 6000 and .processes[0].dropped == 0'
	done
}

@test "a program that exports nothing is known by its imports, and has its ledger from the start" {
	cc -no-pie -o "$BATS_TEST_TMPDIR/host" -x c - <<-'C'
		#include <stdlib.h>
		#include <sys/socket.h>
		int main(int argc, char **argv)
		{
			return argc > 2 ? connect(0, 0, 0) : system(argv[1]) != 0;
		}
	C
	logged "$options" "$BATS_TEST_TMPDIR/host" "ls '$ledgers' | grep \"^\$PPID\\.\""
}

@test "a crash is as a kill" {
	begin "$options" "$actor" open 1 leave until "$go"
	wait_until 60 reported '.leaks[0].count == 1'
	kill -SEGV "$host"
	wait "$host" || true
	reported '.leaks[0].count == 1'
}

@test "what a program asks for while it runs is not said to be at exit, there or in its ledger" {
	local ask
	for ask in check since; do
		rm -f "$ledgers"/* "$go"
		begin "ledger='$ledgers':thread=no" "$actor" open 1 leave read "$ask" until "$go"
		wait_until 60 says 'ERROR: sockleak: 1 socket left in CLOSE_WAIT by its owner, for '
		reported '(.leaks | length) == 0 and .pending[0].count == 1'
		touch "$go"
		wait "$host"
		reported '.leaks[0].count == 1 and .leaks[0].sockets[0].verdict == "exit"'
	done
}

@test "over exec the old books are closed and the new ones know the origin" {
	begin "$options" "$actor" open 1 leave until "$go.1" exec until "$go"
	wait_until 60 reported '.leaks[0].origin[0].function == "take"'
	touch "$go.1"
	wait_until 60 reported '[.processes[].ended] | sort == ["exec", "running"]'
	wait_until 60 reported '.leaks[0].origin[0].function == "take"'
	touch "$go"
	wait "$host"
}

@test "an exec before the first look takes no socket from its origin" {
	# Looked at when the first connection begins, and not again for ten seconds.
	logged "ledger='$ledgers':log=none:thread=no:interval=10s" \
		"$actor" open 1 leave exec linger 10
	reported '[.processes[].ended] | sort == ["exec", "exit"]'
	reported '[(.leaks + .pending)[] | select(.why | index("held-by-child"))] | length == 1 and
		.[0].call == "accept" and .[0].origin_note != "inherited"'
}

# A connection that was a leak, in the hands of another program: `sys.argv[2]` is what that
# one does with it.
over_exec='
import os, socket, sys, time
if len(sys.argv) == 4:
    s = socket.socket(fileno=int(sys.argv[3]))
    if sys.argv[2] == "close":
        s.close()
        socket.socket().close() # the number is another one s
    elif sys.argv[2] == "reset":
        s.send(b"x")
        while s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 7:
            time.sleep(0.001)
    os._exit(0)
ls = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(ls.getsockname())
s, _ = ls.accept()
c.close()
until = time.time() + 30
while time.time() < until and not os.path.getsize(sys.argv[1]):
    time.sleep(0.005)
os.set_inheritable(s.fileno(), True)
os.execv("/usr/bin/python3", ["python3", "-c", os.environ["SCRIPT"], *sys.argv[1:], str(s.fileno())])'

# after_exec WHAT [AT-EXIT]
after_exec() {
	rm -f "$ledgers"/*
	: >"$BATS_TEST_TMPDIR/log.$1"
	SCRIPT=$over_exec logged \
		"ledger='$ledgers':log='$BATS_TEST_TMPDIR/log.$1':grace=200ms:interval=10ms:at_exit=${2-grace}" \
		/usr/bin/python3 -c "$over_exec" "$BATS_TEST_TMPDIR/log.$1" "$1"
	reported '[.processes[].ended] | sort == ["exec", "exit"]'
}

@test "a leak that went over an exec is one while it is held, as the later program sees it" {
	after_exec hold
	reported '[.leaks[].sockets[] | [.verdict, .kind]] == [["grace", "close-wait"]]'
	# It was sent to: by its age alone it is none any more.
	after_exec reset told
	reported '[.leaks[].sockets[] | [.verdict, .kind]] == [["grace", "dead"]]'
	after_exec reset
	reported '.leaks == [] and [.pending[].kind] == ["dead"]'
	after_exec close
	reported '.leaks == [] and .pending == []'
}

# A leak on which something was sent, by a duplicate; and in a child, whose it never was.
lives_on='
import os, socket, sys, time
ls = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(ls.getsockname())
s, _ = ls.accept()
c.shutdown(socket.SHUT_WR)
until = time.time() + 30
while time.time() < until and not os.path.getsize(sys.argv[1]):
    time.sleep(0.005)
d = s.dup()
s.close()
d.send(b"late")
if os.fork() == 0:
    other = socket.create_connection(ls.getsockname())
    os._exit(0)
os.wait()
os._exit(0)'

@test "what was a leak is one at exit by its duplicate, too, and not in a child" {
	log=$BATS_TEST_TMPDIR/log
	logged "ledger='$ledgers':log='$log':grace=1s:interval=10ms" \
		/usr/bin/python3 -c "$lives_on" "$log"
	for each in "$ledgers"/*; do
		"$B/sockleak" report --json "$each"
	done | jq -es 'map([.processes[0].opened, (.leaks | length)]) | sort == [[1, 0], [3, 1]]'
}

@test "a program that makes no connection leaves no ledger behind" {
	logged "$options" "$actor" say x
	logged "$options" /bin/true
	logged "$options" bash -c true
	[ -z "$(ls "$ledgers")" ]
}

@test "a program of which nothing could be recorded leaves a ledger that says so" {
	without_runtime "it maps memory of its own, which RLIMIT_DATA refuses"
	logged "$options" "$B/tests/fixtures/host_limits" no-more-data || true
	reported '.processes[0] | .opened == 0 and .missed > 0'
}

@test "the file is 0600, and a clean program's says so" {
	logged "$options" "$actor" open 1 drop
	[ "$(stat -c %a "$ledgers"/*)" = 600 ]
	reported '.leaks == [] and .processes[0].leaked == 0 and .processes[0].opened == 3'
}

@test "a directory that others may write, or a link, is refused in one line" {
	chmod 777 "$ledgers"
	logged "ledger='$ledgers'" "$actor" open 1 drop
	[ "$(wc -l <"$errors")" -eq 1 ]
	says 'ledger directory'
	chmod 700 "$ledgers"
	ln -s "$ledgers" "$BATS_TEST_TMPDIR/link"
	logged "ledger='$BATS_TEST_TMPDIR/link'" "$actor" open 1 drop
	[ "$(wc -l <"$errors")" -eq 1 ]
	[ -z "$(ls "$ledgers")" ]
}

# on_a_small_disk: in a mount namespace, so that nothing stays mounted
on_a_small_disk() {
	mount -t tmpfs -o size=256k,mode=700 none "$BATS_TEST_TMPDIR/small"
	cd "$BATS_TEST_TMPDIR/small" || return
	logged "ledger='$PWD':log=none" "$actor" open 400 leave read drop say done
	dd if=/dev/zero of=filler bs=4k count=100 2>/dev/null || true
	logged "ledger='$PWD'" "$actor" open 10 drop say done
}

@test "a full disk costs records, never the host" {
	unshare -m true 2>/dev/null || skip "mounts are not permitted here"
	mkdir "$BATS_TEST_TMPDIR/small"
	actor=$PWD/$actor
	export actor library errors
	export -f logged on_a_small_disk
	unshare -m bash -ec on_a_small_disk >"$BATS_TEST_TMPDIR/said"
	[ "$(grep -c 'done' "$BATS_TEST_TMPDIR/said")" -eq 2 ]
	says 'cannot be (reserved|created)'
}

# on_ramfs: a file system that reserves nothing
on_ramfs() {
	mount -t ramfs -o mode=700 none "$ledgers"
	logged "ledger='$ledgers':log=none" "$actor" open 800 leave read
	reported '.leaks[0].count == 800 and .processes[0].dropped == 0'
}

@test "where the file system reserves no room a ledger is kept all the same" {
	unshare -m mount -t ramfs none "$ledgers" 2>/dev/null || skip "mounts are not permitted here"
	export actor library errors ledgers B BATS_TEST_TMPDIR
	export -f logged runtime_of reported on_ramfs
	unshare -m bash -ec on_ramfs
}

@test "beyond RLIMIT_FSIZE there is no signal, and no ledger" {
	not_with thread "its runtime writes a file when it starts"
	(ulimit -f 8 && logged "ledger='$ledgers'" "$actor" open 1 drop say done)
	says 'cannot be reserved'
	[ -z "$(ls "$ledgers"/*.sockleak 2>/dev/null)" ] # only PID.failed
}

@test "names that find no room are counted, and the rest of the ledger is told" {
	not_with thread "its runtime writes a file when it starts"
	local long i words=()
	long=$(printf 'x%.0s' {1..900})
	for i in {1..80}; do words+=(name "$i $long"); done
	(ulimit -f 132 && logged "$options" "$actor" name first open 1 "${words[@]}" open 1 leave read)
	says_nothing
	reported '(.processes[0].dropped | . > 0 and . < 80) and
		([.leaks[].sockets[].test] | sort) == [null, "first"]'
}

@test "a thousand descriptors fit, and closing them shows" {
	logged "$options" "$actor" open 900 leave read
	reported '.leaks[0].count == 900 and .processes[0].dropped == 0'
}

@test "a ledger removed while its program runs harms nobody" {
	begin "$options" "$actor" open 1 until "$go" open 500 leave read
	wait_until 60 eval '[ -n "$(ls "$ledgers")" ]'
	rm "$ledgers"/*
	touch "$go"
	wait "$host"
	[ -z "$(ls "$ledgers")" ]
}

@test "a child's leak is in the child's ledger" {
	logged "$options" "$actor" open 1 leave drop fork open 2 leave read
	reported '[.processes[] | select(.leaked > 0)] | length == 1'
	reported '.leaks[0].count == 2'
}

@test "a child that was forked in another root warns that its leak stands in no ledger" {
	[ "$(id -u)" = 0 ] || skip "only root may change its root"
	mkdir "$BATS_TEST_TMPDIR/root"
	logged "${options/none/stderr}" python3 -c '
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
os.chroot(sys.argv[1])
if os.fork():
	sys.exit(os.wait()[1])
client = socket.socket()
client.connect(listener.getsockname())
server = listener.accept()[0]
client.close()
server.recv(1)
os._exit(server.detach() < 0)' "$BATS_TEST_TMPDIR/root"
	says 'WARNING: sockleak: the ledger directory cannot be opened'
}

@test "a forked child has one page of its parent's ledger, which the parent does not read" {
	[ "$(getconf PAGESIZE)" = 4096 ] || skip "pages are larger here"
	equal "4096 00008000" "$(logged "$options" /usr/bin/python3 -c '
import os, socket
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
if os.fork():
	os.wait()
else:
	for line in open("/proc/self/maps"):
		if ".sockleak" in line:
			begin, end = line.split()[0].split("-")
			print(int(end, 16) - int(begin, 16), line.split()[2])')"
}

@test "the taker of a gift learns its origin from the giver's ledger" {
	logged "$options" /usr/bin/python3 - <<-'PYTHON'
		import os, socket
		a, b = socket.socketpair()
		if os.fork() == 0:
		    a.close()
		    _, fds, _, _ = socket.recv_fds(b, 1, 1)
		    os.read(fds[0], 1)
		    os._exit(0)
		ls = socket.create_server(("127.0.0.1", 0))
		c = socket.create_connection(ls.getsockname())
		s, _ = ls.accept()
		socket.send_fds(a, [b"x"], [s.fileno()])
		s.close()
		c.close()
		os.wait()
	PYTHON
	reported '.leaks[0].count == 1 and .leaks[0].call == "accept4"'
}

@test "a connection that came as two standard streams is one socket" {
	logged "$options" /usr/bin/python3 - "$B/tests/fixtures/actor" <<-'PYTHON'
		import socket, subprocess, sys
		ls = socket.create_server(("127.0.0.1", 0))
		c = socket.create_connection(ls.getsockname())
		s, _ = ls.accept()
		c.close()
		subprocess.run([sys.argv[1], "linger", "400"], stdin=s, stdout=s)
		s.close()
	PYTHON
	reported '.leaks[0].count == 1 and ([.leaks[0].sockets[0].holders[].fd] | sort) == [0, 1]'
	# The lingering opens sockets of its own, and closes them.
	reported '.processes[] | select(.exe | endswith("/actor")) | .opened == .closed + 1'
}

@test "a connection that came twice behind twenty others is one socket" {
	logged "$options" /usr/bin/python3 - "$B/tests/fixtures/actor" <<-'PYTHON'
		import os, socket, subprocess, sys
		ls = socket.create_server(("127.0.0.1", 0))
		cs = [socket.create_connection(ls.getsockname()) for _ in range(21)]
		fds = [ls.accept()[0].detach() for _ in range(21)]
		fds.append(os.dup(fds[-1]))
		subprocess.run([sys.argv[1], "linger", "400"], pass_fds=fds)
		for fd in fds:
		    os.close(fd)
	PYTHON
	reported '.processes[] | select(.exe | endswith("/actor")) | .opened == .closed + 21'
}

@test "what exec inherits is joined with the parent that accepted it and let go" {
	logged "$options" /usr/bin/python3 - "$B/tests/fixtures/actor" <<-'PYTHON'
		import os, socket, sys
		ls = socket.create_server(("127.0.0.1", 0))
		c = socket.create_connection(ls.getsockname())
		s, _ = ls.accept()
		s.set_inheritable(True)
		c.set_inheritable(False)
		pid = os.fork()
		if pid == 0:
		    os.execv(sys.argv[1], [sys.argv[1], "linger", "400"])
		s.close()
		c.close()
		os.waitpid(pid, 0)
	PYTHON
	reported '.leaks[0].count == 1 and .leaks[0].call == "accept4" and
		(.leaks[0].why | index("held-by-child"))'
}

# executes CODE: runs it in a host that was told of the end of its socket `a`, no look in between
executes() {
	rm -f "$ledgers"/*
	cat >"$BATS_TEST_TMPDIR/host.py" <<-PYTHON
		import os, signal, socket
		ls = socket.create_server(("127.0.0.1", 0))
		c = socket.create_connection(ls.getsockname())
		a, _ = ls.accept()
		c.close()
		assert a.recv(1) == b""
		a.set_inheritable(True)
		$1
	PYTHON
	logged "ledger='$ledgers':log=none:interval=1h:grace=1h" /usr/bin/python3 "$BATS_TEST_TMPDIR/host.py" || true
}

@test "what was told and goes to another program is none of the former one's, though that keeps no ledger" {
	without_runtime "Python is built without it"
	executes 'os.execv("/usr/bin/python3", ["python3", "-c", "import os; os.closerange(3, 20)"])'
	reported '.processes == [.processes[0]] and .processes[0].ended == "exec" and .leaks == []'
	executes 'os.execvp("true", ["true"])'
	reported '.processes[0].ended == "exec" and .leaks == []'
	# Of an exec that fails nothing is left, and a child's is not its parent's.
	executes 'exec("try: os.execv(\"/nonexistent\", [\"x\"])\nexcept OSError: os.kill(os.getpid(), signal.SIGKILL)")'
	reported '.processes[0].ended == "unknown" and .leaks[0].count == 1'
	executes 'import subprocess; subprocess.run(["true"]); os.kill(os.getpid(), signal.SIGKILL)'
	reported '.processes[0].ended == "unknown" and .leaks[0].count == 1'
}
