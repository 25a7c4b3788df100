#!/usr/bin/env bats
# Programs that give up rights, change root or namespaces, or lay filters: they meet
# nothing of ours.  Which system calls we make is written in tools/libsockleak.7.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	sandbox=$fixtures/guest_sandbox
}

# listed WHAT: the calls of a list in the manual page
listed() {
	sed -n "/^\.\\\\\" calls of $1\$/,/^\.\\\\\" end\$/p" tools/libsockleak.7 | sed '1d;$d' |
		tr -s ', .\n' '\n\n\n\n' | sed '/^$/d' | sort -u
}

# calls FILE: the names in what strace wrote
calls() {
	grep -oE '^[0-9]+ +[a-z_0-9]+\(' "$1" | sed -E 's/^[0-9]+ +//; s/\(//' | sort -u
}

# new_calls OPTIONS PROGRAM...: what strace sees preloaded and not bare
new_calls() {
	strace -f -o "$BATS_TEST_TMPDIR/bare" "${@:2}" >/dev/null 2>&1 || true
	strace -f -o "$BATS_TEST_TMPDIR/preloaded" -E LD_PRELOAD="$preloads" \
		-E SOCKLEAK_OPTIONS="$1" "${@:2}" >/dev/null 2>&1 || true
	comm -13 <(calls "$BATS_TEST_TMPDIR/bare") <(calls "$BATS_TEST_TMPDIR/preloaded")
}

# all_new_calls OPTIONS: of programs that serve, leak, fork and close everything
all_new_calls() {
	local ledger=$BATS_TEST_TMPDIR/ledger

	mkdir -p -m 700 "$ledger"
	{
		new_calls "$1:ledger=$ledger:log=$BATS_TEST_TMPDIR/%p.log" "$sandbox" serve
		new_calls "$1" "$fixtures/guest_processes" leaks
		new_calls "$1:ledger=$ledger" "$fixtures/guest_processes" forked
		new_calls "$1" "$fixtures/guest_signals" on-a-small-stack
		GUEST_LEDGER=$ledger new_calls "$1:ledger=$ledger:log=$BATS_TEST_TMPDIR/log" \
			"$fixtures/guest_calls" shutdown
	} | sort -u
}

@test "without the thread no call is made beyond the list of the manual page" {
	needs_strace
	all_new_calls thread=no:interval=1ms >"$BATS_TEST_TMPDIR/new"
	comm -23 "$BATS_TEST_TMPDIR/new" <(listed "the host's threads") >"$BATS_TEST_TMPDIR/unlisted"
	[ ! -s "$BATS_TEST_TMPDIR/unlisted" ] || { cat "$BATS_TEST_TMPDIR/unlisted"; false; }
	[ -s "$BATS_TEST_TMPDIR/new" ]
}

@test "with the thread no call is made beyond the lists of the manual page" {
	without_runtime "it makes calls of its own when a thread starts"
	needs_strace
	all_new_calls interval=1ms >"$BATS_TEST_TMPDIR/new"
	comm -23 "$BATS_TEST_TMPDIR/new" \
		<({ listed "the host's threads"; listed "the helper"; } | sort -u) \
		>"$BATS_TEST_TMPDIR/unlisted"
	[ ! -s "$BATS_TEST_TMPDIR/unlisted" ] || { cat "$BATS_TEST_TMPDIR/unlisted"; false; }
	grep -q pidfd_getfd "$BATS_TEST_TMPDIR/new"
}

@test "nobody makes a pipe or asks mincore, and libunwind is loaded" {
	without_runtime "of its stacks the kernel is asked"
	needs_strace
	for options in interval=1ms thread=no; do
		new_calls "$options" "$fixtures/guest_processes" leaks >/dev/null
		run ! grep -E ' (pipe2?|mincore|msync)\(' "$BATS_TEST_TMPDIR/preloaded"
		grep -q libunwind "$BATS_TEST_TMPDIR/preloaded"
	done
}

@test "what we open is closed again in the same breath" {
	needs_strace
	new_calls thread=no:interval=1ms:log="$BATS_TEST_TMPDIR/log" \
		"$fixtures/guest_processes" leaks
	# Each openat of the preloaded run, and each copy out of the way, has the close of its
	# number within a few lines of calls on that very number.
	grep -q ' F_DUPFD_CLOEXEC, ' "$BATS_TEST_TMPDIR/preloaded"
	awk '/ openat\(.*= [0-9]+$/ || / F_DUPFD_CLOEXEC, .*= [0-9]+$/ { open[$NF] = NR; next }
	     / close\([0-9]+\)/ { match($0, /close\([0-9]+/); fd = substr($0, RSTART + 6, RLENGTH - 6)
	                          if (fd in open && NR - open[fd] > 25) bad = 1; delete open[fd] }
	     END { for (fd in open) bad = 1; exit bad }' "$BATS_TEST_TMPDIR/preloaded"
}

@test "the low number of what we open is given back at once, not when we are done with the file" {
	needs_strace
	mkdir -m 700 "$BATS_TEST_TMPDIR/ledger"
	new_calls thread=no:interval=1ms:ledger="$BATS_TEST_TMPDIR/ledger:log=$BATS_TEST_TMPDIR/log" \
		"$fixtures/guest_processes" leaks
	# But for the question whose number it is.
	awk 'function following() { do if ((getline) <= 0) return 0; while (/ newfstatat\(/); return 1 }
	     / openat\(.*(\/log|\/stat|\/boot_id|\.sockleak|guest_processes)".*= [0-9]+$/ {
	             n_opened++; low = $NF; if (!following() || !index($0, "fcntl(" low ", F_DUPFD")) bad = 1
	             if (!following() || !index($0, "close(" low ")")) bad = 1 }
	     END { exit bad || n_opened < 6 }' "$BATS_TEST_TMPDIR/preloaded"
}

@test "a filter that kills at any other call than the program's own kills nobody" {
	same_cases_of by-prctl by-prctl-later by-number by-number-later
}

@test "a filter laid upon all threads kills nobody: the helper has left" {
	same_cases_of for-all for-all-later for-all-later for-all-later
}

@test "in strict mode the program ends by its one call that is left" {
	same_cases_of strict
}

same_cases_of() {
	local name

	for name in "$@"; do
		same_both "$sandbox" "$name"
	done
}

@test "a filter from before the start that kills at rarer calls kills nobody" {
	without_runtime "the end of a cancelled thread is reported, bare too"
	for program in "guest_processes vforked" "guest_signals cancelled" \
		"guest_sandbox serve" "guest_calls fcntl64"; do
		# shellcheck disable=SC2086
		same_both_with_ledger interval=5ms "$sandbox" filtered "$fixtures/"$program
	done
}

@test "under such a filter a leak is found all the same, with its place" {
	run -0 preloaded interval=5ms "$sandbox" filtered "$fixtures/guest_processes" leaks
	[[ $output == *"1 socket left in CLOSE_WAIT"*"in told_and_kept+"* ]]
}

@test "redis-server starts and serves under a filter without mincore" {
	type redis-server redis-cli || skip "redis is not installed"
	LD_PRELOAD=$preloads SOCKLEAK_OPTIONS=interval=5ms "$sandbox" filtered redis-server \
		--port 0 --unixsocket "$BATS_TEST_TMPDIR/s" --bind 127.0.0.1 --save '' \
		>"$BATS_TEST_TMPDIR/out" 2>&1 &
	local server=$!
	wait_until 60 eval 'redis-cli -s "$BATS_TEST_TMPDIR/s" ping | grep -q PONG'
	redis-cli -s "$BATS_TEST_TMPDIR/s" shutdown nosave || true
	wait "$server"
	run ! grep sockleak "$BATS_TEST_TMPDIR/out"
}

@test "namespaces may be changed before the first connection, and later" {
	same_both "$sandbox" namespaces
	same_both "$sandbox" namespaces-later
}

@test "rights that are given up are given up by all threads" {
	same_both "$sandbox" loses-rights
}

@test "rights that one thread gives up do not end the program at its next setuid()" {
	same_both "$sandbox" keeps-some-rights
	same_both "$sandbox" keeps-some-rights-by-number
}

@test "a program may change its root and be undumpable" {
	same_both "$sandbox" changes-root
	same_both "$sandbox" is-not-dumpable
}
