#!/usr/bin/env bats
# Fork, vfork, exec, threads: whose books hold what.

setup() {
	load ../lib/preload
	go=$BATS_TEST_TMPDIR/go
}

@test "a child reports its own leaks under its own pid, and the parent none of them" {
	logged "" "$actor" fork open 2 leave read
	[ "$(count_of 'ERROR: sockleak: 2 sockets')" -eq 1 ]
	[ "$(count_of 'SUMMARY')" -eq 1 ]
}

@test "what was told before the fork is not held against the child" {
	logged "" "$actor" open 1 leave read fork
	says_nothing
}

@test "a child that keeps what it inherited past grace is said to hold it" {
	begin grace=50ms:interval=10ms "$actor" open 1 leave fork linger 20 until "$go"
	wait_until 60 says 'why: .*held-by-child'
	says '    #0 .* in take\+'
	touch "$go"
	wait "$host"
}

@test "a short-lived child does not repeat what its parent leaks" {
	begin grace=2s:interval=10ms "$actor" open 1 leave until "$go" fork _exit 0
	wait_until 60 says 'ERROR: sockleak: 1 socket'
	touch "$go"
	wait "$host"
	[ "$(count_of 'held-by-child')" -eq 0 ]
}

@test "a child of _Fork, whose fork handlers do not run, keeps its own books" {
	logged "" /usr/bin/python3 - <<-'PYTHON'
		import ctypes, os, socket
		ls = socket.create_server(("127.0.0.1", 0))
		pid = ctypes.CDLL(None)._Fork()
		if pid == 0:
		    c = socket.create_connection(ls.getsockname())
		    s, _ = ls.accept()
		    c.close()
		    s.recv(1)
		    s.detach()
		    os._exit(0)
		os.waitpid(pid, 0)
	PYTHON
	[ "$(count_of 'SUMMARY: sockleak: 1 socket leaked')" -eq 1 ]
}

@test "what a vfork child closes on its way to exec is not taken from its parent" {
	logged "" /usr/bin/python3 - <<-'PYTHON'
		import socket, subprocess
		ls = socket.create_server(("127.0.0.1", 0))
		c = socket.create_connection(ls.getsockname())
		s, _ = ls.accept()
		c.close()
		s.recv(1)
		for _ in range(20):
		    subprocess.run(["/bin/true"], close_fds=True, check=True)
		s.detach()
	PYTHON
	says 'SUMMARY: sockleak: 1 socket leaked'
}

@test "a socket carried over exec is adopted, its origin inherited" {
	logged format=json:grace=20ms:interval=5ms "$actor" open 1 leave exec linger 200
	jq -es 'map(select(.event == "leak")) | .[-1] | .count == 1 and
		.origin_note == "inherited" and (.why | index("held-by-child"))' <"$errors"
}

@test "a child that execs a program without the library says nothing" {
	SOCKLEAK_OPTIONS='' LD_PRELOAD=$library "$actor" open 1 fork say x 2>"$errors"
	says_nothing
}

@test "no thread before the first connection, one called sockleak after it" {
	not_with thread "its runtime has a thread of its own"
	begin "" "$actor" until "$go.1" open 1 until "$go.2" drop
	threads() { cat /proc/"$host"/task/*/comm | sort | tr '\n' ' '; }
	wait_until 60 eval '[ "$(threads)" = "actor " ]' # no shell any more
	touch "$go.1"
	wait_until 60 eval '[ "$(threads)" = "actor sockleak " ]'
	touch "$go.2"
	wait "$host"
	says_nothing
}

@test "with thread=no there is no thread at all" {
	begin thread=no "$actor" open 1 say ready until "$go" drop >"$BATS_TEST_TMPDIR/said"
	wait_until 60 says ready "$BATS_TEST_TMPDIR/said"
	[ "$(cat /proc/"$host"/task/*/comm)" = actor ]
	touch "$go"
	wait "$host"
}

@test "the helper has a descriptor table of its own: the host's shows nothing of ours" {
	begin "" "$actor" open 1 until "$go" drop
	wait_until 60 eval 'grep -q sockleak /proc/"$host"/task/*/comm'
	helper=$(grep -l sockleak /proc/"$host"/task/*/comm)
	wait_until 60 eval 'ls -l "${helper%comm}fd" | grep -q pidfd'
	[ "$(ls -l "${helper%comm}fd" | grep -c socket)" -eq 0 ]
	[ "$(ls -l /proc/"$host"/fd | grep -c pidfd)" -eq 0 ]
	touch "$go"
	wait "$host"
}

@test "a descriptor received over a Unix socket is received, not opened" {
	logged format=json /usr/bin/python3 - <<-'PYTHON'
		import os, socket
		ls = socket.create_server(("127.0.0.1", 0))
		c = socket.create_connection(ls.getsockname())
		s, _ = ls.accept()
		a, b = socket.socketpair()
		socket.send_fds(a, [b"x"], [s.fileno()])
		s.close()
		_, fds, _, _ = socket.recv_fds(b, 1, 1)
		c.close()
		os.read(fds[0], 1)
	PYTHON
	jq -es '.[0].call == "recvmsg" and .[0].origin_note == "received"' <"$errors"
}

@test "a socket opened by a raw system call is found by the next looks" {
	cat >"$BATS_TEST_TMPDIR/host.py" <<-'PYTHON'
		import ctypes, os, socket, sys, time
		ls = socket.create_server(("127.0.0.1", 0))
		c = socket.create_connection(ls.getsockname())
		s, _ = ls.accept()
		# Taken from libc itself, past the preloaded definition.
		ctypes.CDLL("libc.so.6").dup(s.fileno())
		s.close()
		c.close()
		for _ in range(1000):
		    if os.path.exists(sys.argv[1]):
		        break
		    time.sleep(0.01)
	PYTHON
	begin format=json:grace=50ms:interval=10ms /usr/bin/python3 "$BATS_TEST_TMPDIR/host.py" "$go"
	wait_until 60 says '"event":"leak".*"origin_note":"unknown"'
	touch "$go"
	wait "$host"
	jq -es '.[0].sockets[0].opened_ms == null' <"$errors"
}
