#!/usr/bin/env bats
# Storms: a fraction of a second each here, STORM_MS=10000 by `make check-storms`.  Each
# must end, and the books must be right afterwards: none of its own sockets is a leak, of
# two that are planted two are found, and none was missed.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	export STORM_MS=${STORM_MS:-300}
}

# storm NAME: bare, with the helper thread, and without
storm() {
	same_both_with_ledger interval=1ms "$fixtures/guest_storms" "$1"
}

@test "calls from signal handlers at 10 kHz while threads serve: nothing is locked" {
	storm handlers
}

@test "64 threads replace and close the same numbers: each row is one socket's, or nobody's" {
	not_with thread "the races are the program's own"
	storm replacing
}

@test "fork, _Fork, vfork and posix_spawn while threads serve: no child hangs or changes our books" {
	not_with thread "its runtime does not survive a raw fork"
	storm children
}

@test "libraries come and go while threads serve: nobody is held up, or named by another's code" {
	export STORM_PLUGIN=$BATS_TEST_TMPDIR/plugin.so
	printf '#include "guest.h"\nvoid run_guest(void) { finish(ended()); }\n' |
		cc -x c -std=gnu11 -D_GNU_SOURCE -Ipreload -Itests/lib -shared -fPIC \
			-o "$STORM_PLUGIN" -
	storm loading
}

@test "threads are cancelled wherever they are: nothing was held" {
	without_runtime "the end of a cancelled thread is reported, bare too"
	storm cancelling
}

@test "the limit of descriptors goes up and down, and is hit: none of them is ours" {
	storm limits
}

@test "closefrom, close_range and loops of close while threads serve: what they end is forgotten first" {
	storm closing-ranges
}
