#!/usr/bin/env bats
# What plain preload prints, and when it prints nothing.

setup() {
	load ../lib/preload
	go=$BATS_TEST_TMPDIR/go
}

@test "a clean program prints nothing" {
	logged "" "$actor" open 5 drop leave
	says_nothing
	logged grace=1ms:interval=1ms "$actor" open 5 linger 50
	says_nothing
}

@test "a leak is printed at exit, with its origin, where it was told, and why" {
	logged "" "$actor" open 3 leave read
	says '^==[0-9]+==ERROR: sockleak: 3 sockets left in CLOSE_WAIT by their owner at exit'
	says '^    #0 0x[0-9a-f]+ in take\+0x[0-9a-f]+ \(/.*/actor\+0x[0-9a-f]+\)'
	says '^  end of stream was read .* ago by read\(\):'
	says '^    #0 0x[0-9a-f]+ in read_end\+'
	says '^  why: eof-read\. 127\.0\.0\.1:[0-9]+ <- 127\.0\.0\.1:[0-9]+ \(fd [0-9]+\), and 2 more\.$'
	says '^==[0-9]+==SUMMARY: sockleak: 3 sockets leaked at 1 place; 7 opened, 4 closed; 0 missed, 0 dropped'
}

@test "what the program was not told of is pending at exit, and not counted" {
	logged "" "$actor" open 2 leave
	says_nothing
	logged "" "$actor" open 1 leave read open 2 leave
	says 'SUMMARY: sockleak: 1 socket leaked at 1 place'
}

@test "a leak is printed while the program runs, once grace is over" {
	begin grace=50ms:interval=10ms "$actor" open 1 leave until "$go" drop
	wait_until 60 says 'ERROR: sockleak: 1 socket left in CLOSE_WAIT by its owner, for'
	says '    #0 .* in take\+'
	touch "$go"
	wait "$host"
	says 'SUMMARY: sockleak: 1 socket leaked at 1 place \(closed only by the program.s end\)'
}

# told_after: for how many ms the peer was gone when the leak was told
told_after() {
	rm -f "$go"
	begin grace=300ms:format=json "$actor" open 20 leave until "$go" drop
	wait_until 60 says '"event": *"leak"'
	touch "$go"
	wait "$host"
	jq -r 'select(.event == "leak").oldest_ms' "$errors" | head -1
}

# The bound: grace and the longer of a second and a thousand times what a look costs, here
# the second.  A busy machine may make any one look late, so one of twenty has to be in time.
@test "a leak is printed while the program runs, also where it changed its root and there is no /proc" {
	[ "$(id -u)" = 0 ] || skip "only root may change its root"
	mkdir "$BATS_TEST_TMPDIR/root"
	logged grace=200ms:interval=50ms /usr/bin/python3 - "$errors" "$BATS_TEST_TMPDIR/root" <<-'PYTHON'
		import os, socket, sys, time
		report = os.open(sys.argv[1], os.O_RDONLY)
		ls = socket.create_server(("127.0.0.1", 0))
		"".encode("idna") # which is loaded when first used
		os.chroot(sys.argv[2])
		os.chdir("/")
		c = socket.create_connection(ls.getsockname())
		s, _ = ls.accept()
		c.close()
		for _ in range(6000):
		    if b"ERROR: sockleak: 1 socket left" in os.pread(report, 65536, 0):
		        os._exit(0)
		    time.sleep(0.01)
		os._exit(1)
	PYTHON
}

@test "where there is no /proc from the start frames name the program, and its functions" {
	not_with address "its runtime reads /proc"
	unshare -m true || skip "needs rights to mount"
	logged "log='$BATS_TEST_TMPDIR/%e.log'" unshare -m sh -c 'mount -t tmpfs none /proc && exec "$@"' - \
		"$PWD/$actor" open 1 leave read
	says " in main\+0x[0-9a-f]+ \($PWD/$actor\+0x" "$BATS_TEST_TMPDIR/actor.log"
}

@test "a leak is told within grace and a second" {
	not_with thread "there a scan takes so long that the next one is put off"
	for _ in {1..20}; do
		age=$(told_after)
		echo "told after $age ms"
		((age >= 300))
		((age <= 300 + 1000 + 50)) && return
	done
	false
}

@test "later only a count line comes, each time the number has doubled" {
	# Whether a look finds three or not, it says nothing of them.
	begin grace=20ms:interval=5ms "$actor" open 1 leave until "$go.1" open 1 leave \
		until "$go.2" open 1 leave linger 100 open 1 leave until "$go.3"
	wait_until 60 says ' 1 socket .*CLOSE_WAIT'
	touch "$go.1"
	wait_until 60 says ' 2 sockets .*CLOSE_WAIT'
	touch "$go.2"
	wait_until 60 says ' 4 sockets .*CLOSE_WAIT'
	touch "$go.3"
	wait "$host"
	[ "$(count_of '^    #0 .* in take')" -eq 1 ]
	[ "$(count_of ' 3 sockets')" -eq 0 ]
}

@test "every json line is an object of its event, with the fields of a place" {
	logged format=json "$actor" open 2 leave read
	jq -es '.[0] | .event == "leak" and .kind == "close-wait" and .why == ["eof-read"] and
		.count == 2 and .call == "accept" and .origin[0].function == "take" and
		.eof[0].function == "read_end" and .eof_call == "read" and
		(.id | test("^[0-9a-f]{16}$")) and (.ts | type) == "number"' <"$errors"
	jq -es '.[-1] | .event == "summary" and .leaked == 2' <"$errors"
}

@test "a late close is an event of its own" {
	begin format=json:grace=20ms:interval=5ms "$actor" open 1 leave until "$go" drop linger 1100
	wait_until 60 says '"event":"leak"'
	touch "$go"
	wait "$host"
	jq -es 'map(.event) == ["leak", "closed-late", "summary"]' <"$errors"
	jq -es '.[-1].leaked == 0 and .[-1].closed_late.count == 1' <"$errors"
}

@test "a late close tells which socket it was, and nothing of what else is held there" {
	begin format=json:grace=20ms:interval=5ms "$actor" open 2 leave until "$go" dropone \
		until "$go.2"
	wait_until 60 says '"event":"leak"'
	touch "$go"
	wait_until 60 says '"event":"closed-late"'
	touch "$go.2"
	wait "$host"
	jq -es '(map(select(.event == "leak")) | .[-1].sockets[0]) as $leak |
		map(select(.event == "closed-late")) | .[0] |
		.count == 1 and (.why == ["never-read"]) and .sockets[0].verdict == "grace" and
		.sockets[0].cookie != "0" and .sockets[0].holders[0].fd > 2 and
		.sockets[0].inode > 0 and (.sockets[0].local | test("^127")) and
		(.sockets[0].peer | test("^127")) and .sockets[0].opened_ms >= .oldest_ms' <"$errors"
}

@test "a close of which the end is not known yet is told when it is no close by the end" {
	begin format=json:grace=20ms:interval=5ms "$actor" open 2 leave until "$go" dropone \
		until "$go.2" dropone
	wait_until 60 says '"event":"leak"'
	touch "$go"
	wait_until 60 says '"event":"closed-late"'
	touch "$go.2"
	wait "$host"
	jq -es '.[0].count as $n | map(select(.event == "closed-late").count) == [1] and
		(.[-1] | .leaked == 1 and .closed_late.count == 1)' <"$errors"
	jq -es '(map(select(.event == "closed-late")) | map(.sockets[].cookie)) -
		(map(select(.event == "leak")) | .[-1].sockets | map(.cookie)) | length == 1' <"$errors"
}

@test "a late close is timed by the close, however late the next look is" {
	logged format=json:thread=no:grace=10ms:interval=60m \
		"$actor" open 1 leave linger 50 check drop linger 1100
	jq -es 'map(.event) == ["leak", "closed-late", "summary"] and
		.[-1].closed_late.max_ms < .[0].oldest_ms + 1000' <"$errors"
}

@test "log=PATH takes the report, with the pid and the program's name in the path" {
	logged "log='$BATS_TEST_TMPDIR/%e.%p.log'" "$actor" open 1 leave read
	says_nothing
	[ "$(stat -c %a "$BATS_TEST_TMPDIR"/actor.*.log)" = 600 ]
	says 'SUMMARY: sockleak: 1 socket leaked' "$(echo "$BATS_TEST_TMPDIR"/actor.*.log)"
}

@test "log=PATH leaves no file behind a clean program" {
	logged "log='$BATS_TEST_TMPDIR/%p.log'" "$actor" open 1 drop
	says_nothing
	[ -z "$(ls "$BATS_TEST_TMPDIR"/*.log 2>/dev/null)" ]
}

@test "a program that becomes another leaves no empty log behind" {
	local file=$BATS_TEST_TMPDIR/wrapped.log
	logged "log='$file'" env "$actor" open 1 drop
	logged "log='$file'" sh -c 'exec "$@"' - "$actor" open 1 drop
	logged "log='$file'" env true
	[ ! -e "$file" ]
	logged "log='$file'" env "$actor" open 1 leave read
	says 'ERROR: sockleak: 1 socket' "$file"
	# What could make connections opens its log at the start: the next one knows it.
	logged "log='$file.%p'" bash -c 'exec "$@"' - "$actor" open 1 drop
	[ -z "$(ls "$file".*)" ] || { ls -l "$file".*; return 1; }
	says_nothing
}

@test "a log that was there before, empty, stays" {
	touch "$BATS_TEST_TMPDIR/mine.log"
	logged "log='$BATS_TEST_TMPDIR/mine.log'" env "$actor" open 1 drop
	[ -e "$BATS_TEST_TMPDIR/mine.log" ]
}

@test "a relative log is where the program was started, also a child's" {
	local here=$PWD
	cd "$BATS_TEST_TMPDIR"
	SOCKLEAK_OPTIONS=log=child.%p LD_PRELOAD=$(runtime_of python3)$library /usr/bin/python3 - <<-'PYTHON'
		import os, socket
		os.mkdir("elsewhere")
		os.chdir("elsewhere")
		if os.fork() == 0:
		    ls = socket.create_server(("127.0.0.1", 0))
		    c = socket.create_connection(ls.getsockname())
		    s, _ = ls.accept()
		    c.close()
		    s.recv(1)
		    os._exit(0)
		os.wait()
	PYTHON
	[ "$(ls child.* | wc -l)" -eq 1 ]
	[ -z "$(ls elsewhere)" ]
	cd "$here"
}

@test "a log that another process removed, since it was empty, is made anew for the report" {
	begin "log='$BATS_TEST_TMPDIR/log'" "$actor" until "$go.1"
	local first=$host
	wait_until 60 test -e "$BATS_TEST_TMPDIR/log"
	begin "log='$BATS_TEST_TMPDIR/log'" "$actor" say ready until "$go.2" open 1 leave read \
		>"$BATS_TEST_TMPDIR/said"
	wait_until 60 says ready "$BATS_TEST_TMPDIR/said"
	touch "$go.1"
	wait "$first"
	[ ! -e "$BATS_TEST_TMPDIR/log" ]
	touch "$go.2"
	wait "$host"
	says 'SUMMARY: sockleak: 1 socket leaked' "$BATS_TEST_TMPDIR/log"
	says_nothing
}

@test "a log that was rotated while the program runs: the new file takes the report" {
	local log=$BATS_TEST_TMPDIR/log
	begin "log='$log'" "$actor" say ready until "$go" open 1 leave read >"$BATS_TEST_TMPDIR/said"
	wait_until 60 says ready "$BATS_TEST_TMPDIR/said"
	mv "$log" "$log.1"
	touch "$log" # as logrotate's "create" does
	touch "$go"
	wait "$host"
	says 'SUMMARY: sockleak: 1 socket leaked' "$log"
	[ ! -s "$log.1" ]
	says_nothing
}

@test "an empty log that another made at its place in the meantime stays" {
	local log=$BATS_TEST_TMPDIR/log
	begin "log='$log'" "$actor" say ready until "$go" open 1 drop >"$BATS_TEST_TMPDIR/said"
	wait_until 60 says ready "$BATS_TEST_TMPDIR/said"
	mv "$log" "$log.1"
	touch "$log" "$go"
	wait "$host"
	[ -e "$log" ]
}

@test "log=none says nothing" {
	logged log=none "$actor" open 1 leave read
	says_nothing
}

@test "a log that is a link or somebody else's is refused in one line, and the program runs on" {
	ln -s "$BATS_TEST_TMPDIR/victim" "$BATS_TEST_TMPDIR/link"
	logged "log='$BATS_TEST_TMPDIR/link'" "$actor" open 1 leave read say done
	[ "$(wc -l <"$errors")" -eq 1 ]
	[ ! -e "$BATS_TEST_TMPDIR/victim" ]
	run logged log=/nonexistent/x "$actor" say done
	[ "$status" -eq 0 ]
	[ "$output" = "done" ]
	[ "$(wc -l <"$errors")" -eq 1 ]
}

@test "an unknown option and a bad value get one line each, and the program runs on" {
	logged nonsense=1:grace=soon:frames=0:interval=10ms "$actor" say done
	[ "$(wc -l <"$errors")" -eq 3 ]
	says 'nonsense'
	says 'grace'
	says 'frames'
}

@test "a file of suppressions that is missing, or has a bad line, gets one line" {
	logged "suppressions=/nonexistent" "$actor" open 1 leave read
	says 'suppressed: /nonexistent$'
	says 'SUMMARY: sockleak: 1 socket leaked'
	printf '# comment\nnonsense\nleak:take\n' >"$BATS_TEST_TMPDIR/rules"
	logged "suppressions='$BATS_TEST_TMPDIR/rules'" "$actor" open 1 leave read
	[ "$(wc -l <"$errors")" -eq 1 ]
	says 'nonsense'
}

@test "a suppression with max=N lets N sockets of a place pass, and counts the excess" {
	printf 'leak:take max=2\n' >"$BATS_TEST_TMPDIR/rules"
	logged "suppressions='$BATS_TEST_TMPDIR/rules'" "$actor" open 2 leave read
	says_nothing
	logged "suppressions='$BATS_TEST_TMPDIR/rules'" "$actor" open 5 leave read
	says 'ERROR: sockleak: 3 sockets'
	says 'suppressed 2 by leak:take'
}

@test "exitcode changes the status of a program that leaked and would have ended with 0" {
	run logged exitcode=7 "$actor" open 1 leave read
	[ "$status" -eq 7 ]
	run logged exitcode=7 "$actor" open 1 leave read exit 3
	[ "$status" -eq 3 ]
	run logged exitcode=7 "$actor" open 1 drop
	[ "$status" -eq 0 ]
	run logged exitcode=7 "$actor" open 1 leave read _exit 0
	[ "$status" -eq 7 ]
}

@test "exitcode loses nothing that the program had buffered" {
	[ "$(logged exitcode=7 /usr/bin/python3 -c '
import socket, sys
ls = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(ls.getsockname())
s, _ = ls.accept()
c.close()
s.recv(1)
s.detach()
sys.stdout.write("x" * 100000)' | wc -c)" -eq 100000 ]
}

@test "_exit and quick_exit report as exit does" {
	logged "" "$actor" open 1 leave read _exit 0
	says 'SUMMARY: sockleak: 1 socket leaked'
	logged "" "$actor" open 1 leave read quick 0
	says 'SUMMARY: sockleak: 1 socket leaked'
}

@test "at_exit=grace counts only what is past grace, at_exit=none nothing" {
	logged at_exit=grace "$actor" open 1 leave read
	says_nothing
	logged at_exit=grace:grace=1ms "$actor" open 1 leave read linger 20
	says 'SUMMARY: sockleak: 1 socket leaked'
	logged at_exit=none:thread=no "$actor" open 1 leave read
	says_nothing
}

@test "what was a leak before it sent once more is one at exit, but for at_exit=grace" {
	half_closed='
import os, socket, sys, time
ls = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(ls.getsockname())
s, _ = ls.accept()
c.shutdown(socket.SHUT_WR)
until = time.time() + 30
while time.time() < until and not os.path.getsize(sys.argv[1]):
    time.sleep(0.005)
s.send(b"late")
c.recv(4)
os._exit(0)'
	for at_exit in told grace; do
		rm -f "$BATS_TEST_TMPDIR/log"
		logged "grace=1s:interval=10ms:at_exit=$at_exit:log='$BATS_TEST_TMPDIR/log'" \
			/usr/bin/python3 -c "$half_closed" "$BATS_TEST_TMPDIR/log"
		grep -q 'ERROR: sockleak: 1 socket left in CLOSE_WAIT' "$BATS_TEST_TMPDIR/log"
		grep 'SUMMARY' "$BATS_TEST_TMPDIR/log" >"$BATS_TEST_TMPDIR/summary.$at_exit"
	done
	grep -q 'SUMMARY: sockleak: 1 socket leaked at 1 place' "$BATS_TEST_TMPDIR/summary.told"
	grep -q 'SUMMARY: sockleak: 0 sockets leaked' "$BATS_TEST_TMPDIR/summary.grace"
}

@test "help=1 prints the table of options and goes on" {
	[ "$(logged help=1 "$actor" say done)" = "done" ]
	says 'suppressions'
	says 'max_reports'
}

@test "frames=N keeps so many" {
	logged frames=1 "$actor" open 1 leave read
	[ "$(count_of '^    #0')" -eq 2 ]
	[ "$(count_of '^    #1')" -eq 0 ]
}

@test "past max_reports places only their counts are printed" {
	logged max_reports=1 /usr/bin/python3 -c '
import socket
def pair():
    ls = socket.create_server(("127.0.0.1", 0))
    c = socket.create_connection(ls.getsockname())
    s, _ = ls.accept()
    c.close()
    s.recv(1)
    s.detach()
def deeper():
    pair()
pair()
deeper()'
	says 'sockets leaked at|socket leaked at'
	[ "$(count_of '^  why:')" -eq 1 ]
}

@test "a program without a free number still reports, and says once that the limit was hit" {
	begin grace=20ms:interval=5ms "$actor" numbers 60 open 2 leave exhaust until "$go"
	wait_until 60 says 'ERROR: sockleak: 2 sockets'
	touch "$go"
	wait "$host"
	says '^==[0-9]+==WARNING: sockleak: the limit of open descriptors \(60\) was reached'
	[ "$(count_of 'limit of open descriptors')" -eq 1 ]
	says '  [0-9]+ sockets opened by accept\(\):'
}

@test "the report at exit names functions and reaches its file without a free number" {
	logged "log='$BATS_TEST_TMPDIR/out.log'" "$actor" numbers 60 open 2 leave read exhaust
	says '    #0 .* in take\+' "$BATS_TEST_TMPDIR/out.log"
	says 'SUMMARY: sockleak: 2 sockets leaked' "$BATS_TEST_TMPDIR/out.log"
}

@test "not one byte lands in a standard error that was closed or reused" {
	logged "" "$actor" open 1 leave read close2
	says_nothing
	logged "" "$actor" open 2 dup2socket leave read
	says_nothing
}

@test "a standard error whose reader is gone does not end the program" {
	run bash -c "SOCKLEAK_OPTIONS= LD_PRELOAD=$library $actor open 1 leave read exit 5 2> >(exec true); echo \$?"
	[ "${lines[-1]}" = 5 ]
}

@test "the name of the running test stands with what is opened" {
	logged format=json "$actor" name 'one "test"' open 1 leave read
	jq -es '.[0].sockets[0].test == "one \"test\""' <"$errors"
}

@test "with thread=no the same is said at exit" {
	logged thread=no "$actor" open 3 leave read
	says 'ERROR: sockleak: 3 sockets left in CLOSE_WAIT by their owner at exit'
	says '    #0 .* in take\+'
	logged thread=no:grace=10ms:interval=5ms "$actor" open 1 leave linger 2000 drop
	says 'ERROR: sockleak: 1 socket left in CLOSE_WAIT .* closed only by the program.s end'
}

# Nothing tells when an RST came: the socket has been dead since a scan found it so.
@test "with thread=no a scan comes each half of the grace, however many sockets it has to ask about" {
	ulimit -n "$(ulimit -Hn)"
	logged thread=no:grace=500ms:interval=10ms "$actor" open 2000 linger 200 reset linger 2500
	says 'SUMMARY: sockleak: 2000 sockets leaked at 1 place'
}
