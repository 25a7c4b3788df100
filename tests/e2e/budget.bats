#!/usr/bin/env bats
# What the hot paths may cost, in instructions: callgrind counts them, and no noise of the
# machine moves them.  With thread=no, so that the C library's own dearer ways for a
# process of more than one thread are not counted as ours; the kernel is asked so rarely
# that no look falls into the count.

library=${B:-build}/libsockleak.so
loops=${B:-build}/tests/bench/loops

# instructions LOOP FUNCTION ROUNDS [LIBRARY]: those executed inside FUNCTION.
instructions() {
	printf '%s\n' "$3" | env ${4:+LD_PRELOAD="$4"} SOCKLEAK_OPTIONS=thread=no:interval=1000s \
		valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		--toggle-collect="$2" "$loops" "$1" 2>&1 |
		sed -n 's/.*Collected : //p'
}

# per_round LOOP FUNCTION [LIBRARY]: what 1000 rounds more take, by 1000.  The warm
# rounds, and what happens once, are in both and fall out.
per_round() {
	local few many

	few=$(instructions "$1" "$2" 500 "${3-}")
	many=$(instructions "$1" "$2" 1500 "${3-}")
	[ -n "$few" ] && [ -n "$many" ]
	echo $(((many - few + 999) / 1000))
}

# costs_at_most BUDGET LOOP FUNCTION [CALLS A ROUND]
costs_at_most() {
	local bare ours more

	bare=$(per_round "$2" "$3")
	ours=$(per_round "$2" "$3" "$library")
	more=$(((ours - bare) / ${4:-1}))
	echo "$2: $3: bare $bare, preloaded $ours a round: $more more a call, at most $1"
	[ "$ours" -gt "$bare" ] # else nothing was measured
	[ "$more" -le "$1" ]
}

@test "recv that returns data takes at most 16 instructions more than bare" {
	costs_at_most 16 recv recv_once
}

@test "read that returns data takes at most 16 instructions more than bare" {
	costs_at_most 16 read read_once
}

@test "recv that finds nothing takes at most 16 instructions more than bare" {
	costs_at_most 16 eagain recv_once
}

@test "close of an untracked descriptor takes at most 20 instructions more" {
	costs_at_most 20 untracked close_once
}

@test "accept with a remembered backtrace of 20 frames takes at most 1,500 more" {
	costs_at_most 1500 connections accept_once
}

@test "socket with a remembered backtrace of 20 frames takes at most 1,500 more" {
	costs_at_most 1500 connections socket_once
}

@test "close of a tracked descriptor takes at most 1,500 instructions more" {
	costs_at_most 1500 connections close_once 2
}

# start_of LIBRARY: of /bin/true, in user space.
start_of() {
	env LD_PRELOAD="$1" valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		/bin/true 2>&1 | sed -n 's/.*Collected : //p'
}

@test "a program that makes no connections starts with at most 100,000 instructions more than with an empty library" {
	empty=$(start_of "${B:-build}/tests/bench/empty_preload.so")
	ours=$(start_of "$library")
	echo "empty $empty, ours $ours"
	[ "$ours" -gt "$empty" ]
	[ $((ours - empty)) -le 100000 ]
}
