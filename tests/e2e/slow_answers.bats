#!/usr/bin/env bats
# The kernel's answers come late, as on a machine with many others on it: a leak stays one,
# and what was closed meanwhile does not become one.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	without_runtime "it makes calls of its own under strace"
	needs_strace
	calls=$BATS_TEST_TMPDIR/calls
}

# leaks_with OPTIONS STRACE-OPTION...: one leak, told and kept
leaks_with() {
	strace -f -qq -o "$calls" "${@:2}" -E LD_PRELOAD="$preloads" \
		-E SOCKLEAK_OPTIONS="$1" "$fixtures/host_calls" lying-message leaks \
		>"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || true
	grep -q 'SUMMARY: sockleak: 1 socket leaked at 1 place' "$BATS_TEST_TMPDIR/err" ||
		{ echo "$*"; cat "$BATS_TEST_TMPDIR/err"; return 1; }
}

# last_tcp_info: which of the first thread's getsockopt calls it is
last_tcp_info() {
	awk 'NR == 1 { first = $1 } $1 == first { n++; if (/TCP_INFO/) last = n } END { print last }' "$calls"
}

@test "a program that was told has not sent since, however long the kernel's answer takes" {
	for options in interval=1h interval=1h:thread=no; do
		leaks_with "$options" -e trace=getsockopt
		leaks_with "$options" -e trace=getsockopt \
			-e "inject=getsockopt:delay_exit=30000:when=$(last_tcp_info)"
		grep -q 'TCP_INFO.*DELAYED' "$calls"
		leaks_with "$options" -e trace=ioctl -e inject=ioctl:delay_exit=30000
		grep -q 'DELAYED' "$calls"
	done
}

@test "what is closed during a look is closed in the ledger of a process killed before the next" {
	mkdir -m 700 "$BATS_TEST_TMPDIR/ledger"
	run -137 strace -f -qq -o "$calls" -e trace=ioctl -e inject=ioctl:delay_exit=300000 \
		-E LD_PRELOAD="$preloads" \
		-E SOCKLEAK_OPTIONS="interval=1m:grace=1h:ledger=$BATS_TEST_TMPDIR/ledger" \
		"$fixtures/guest_killed"
	grep -q 'FIONREAD.*DELAYED' "$calls"
	run -0 "$build/sockleak" report "$BATS_TEST_TMPDIR/ledger"
	[[ $output == *'SUMMARY: sockleak: 0 sockets leaked at 0 places; 3 opened, '* ]]
}
