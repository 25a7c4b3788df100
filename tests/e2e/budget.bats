#!/usr/bin/env bats
# What the hot paths may cost, in instructions: callgrind counts them, and no noise of the
# machine moves them.  The kernel is asked so rarely that no look falls into the count.

library=${B:-build}/libsockleak.so
loops=${B:-build}/tests/bench/loops

load ../lib/common

setup() {
	plain_build "the instructions counted are the sanitizer's, too"
	thread=no
}

# instructions LOOP FUNCTION ROUNDS [LIBRARY]: those executed inside FUNCTION.
instructions() {
	# shellcheck disable=SC2086 # a loop may have arguments
	printf '%s\n' "$3" | env ${4:+LD_PRELOAD="$4"} \
		SOCKLEAK_OPTIONS="thread=$thread:interval=1000s" \
		valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		--toggle-collect="$2" "$loops" $1 2>&1 |
		sed -n 's/.*Collected : //p'
}

# per_round LOOP FUNCTION [LIBRARY]: what 1000 rounds more take, by 1000.  The warm
# rounds, and what happens once, are in both and fall out.
per_round() {
	local few many

	few=$(instructions "$1" "$2" 500 "${3-}")
	many=$(instructions "$1" "$2" 1500 "${3-}")
	[ -n "$few" ] || return
	[ -n "$many" ] || return
	echo $(((many - few + 999) / 1000))
}

# costs_at_most BUDGET LOOP FUNCTION [CALLS A ROUND]
costs_at_most() {
	local bare ours more

	bare=$(per_round "$2" "$3")
	ours=$(per_round "$2" "$3" "$library")
	more=$(((ours - bare) / ${4:-1}))
	echo "$2: $3: bare $bare, preloaded $ours a round: $more more a call, at most $1"
	[ "$ours" != "$bare" ] # else nothing was measured
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

# The C library would take 49 more from the second thread on, which is ours.
@test "recv, read and recv that finds nothing take at most 16 more beside the helper" {
	thread=yes
	costs_at_most 16 recv recv_once
	costs_at_most 16 read read_once
	costs_at_most 16 eagain recv_once
}

@test "recv, read and recv that finds nothing take at most 18 more in a host of two threads" {
	for thread in no yes; do
		costs_at_most 18 "recv 20 threaded" recv_once
		costs_at_most 18 "read 20 threaded" read_once
		costs_at_most 18 "eagain 20 threaded" recv_once
	done
}

# 20 as gcc 12 compiles it.
@test "close of an untracked descriptor takes at most 22 instructions more" {
	costs_at_most 22 untracked close_once
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

@test "a descriptor passed to its sender takes at most 30 more for each that came so" {
	local few many

	few=$(per_round "passed 20 100" pass_once "$library")
	many=$(per_round "passed 20 2100" pass_once "$library")
	echo "beside 100: $few a round, beside 2100: $many"
	[ $(((many - few) / 2000)) -le 30 ]
	[ "$many" -gt "$few" ] # else the search was not seen
}

# listed_lie_together SECTIONS KINDS FIRST BYTES SHARE: what order.ld lists from such sections
# lies within so many bytes of FIRST, and this share of it is there: a name that has changed
# falls out of the list unseen, but compilers put some functions into their callers.
listed_lie_together() {
	grep -oE "$1[A-Za-z0-9_.]+" preload/order.ld | sed 's/.*\.//' |
		grep -vx connection >"$BATS_TEST_TMPDIR/listed"
	nm "$library" >"$BATS_TEST_TMPDIR/symbols"
	python3 - "$BATS_TEST_TMPDIR/listed" "$BATS_TEST_TMPDIR/symbols" "${@:2}" <<-'PY'
		import sys
		kinds, begin, most, share = *sys.argv[3:5], int(sys.argv[5]), float(sys.argv[6])
		listed = set(open(sys.argv[1]).read().split())
		found = {}
		for line in open(sys.argv[2]):
		    fields = line.split()
		    if len(fields) == 3 and fields[1] in kinds and fields[2] in listed:
		        found.setdefault(fields[2], []).append(int(fields[0], 16))
		first = min(found[begin])
		near = {name for name, all in found.items()
		        if any(0 <= address - first < most for address in all)}
		print("not there:", *sorted(listed - found.keys()))
		print("elsewhere:", *sorted(found.keys() - near))
		sys.exit(len(listed) < 30 or len(near) < share * len(listed) or found.keys() != near)
	PY
}

@test "the functions that each connection runs lie together, in 24 KiB" {
	listed_lie_together '\.text\.' tT accept 24576 0.75
}

@test "the variables that they use lie together, in 4 cache lines" {
	listed_lie_together '\.(data|bss)\.' dD single_n_alone 256 1
	objdump -h "$library" | grep -E '^ +[0-9]+ \.data\.connection '
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

# faults_of LIBRARY PROGRAM...: the pages that a start has mapped for it; where the kernel
# happens to place things makes up to seven of difference, hence the median of many.
faults_of() {
	python3 - "$@" <<-'PY'
		import os, statistics, sys
		library, *program = sys.argv[1:]
		def faults():
		    child = os.posix_spawn(program[0], program, {"LD_PRELOAD": library})
		    return os.wait4(child, 0)[2].ru_minflt
		print(statistics.median_low(faults() for _ in range(101)))
	PY
}

# 2 us each where a machine is virtual, which no count of instructions shows.
@test "a program that makes no connections starts with at most two page faults more than with an empty library" {
	empty=$(faults_of "$(realpath "${B:-build}/tests/bench/empty_preload.so")" /bin/true)
	ours=$(faults_of "$(realpath "$library")" /bin/true)
	echo "empty $empty, ours $ours"
	[ "$empty" -gt 0 ]
	[ $((ours - empty)) -le 2 ]
}

@test "a program that may make connections starts with at most five page faults more than loading libunwind takes" {
	libunwind=$(strings "$library" | grep -m1 '/libunwind-.*\.so\.8$')
	printf '%s\n' '#include <dlfcn.h>' '__attribute__((constructor)) static void load(void)' \
		'{ dlopen("'"$libunwind"'", RTLD_NOW | RTLD_LOCAL); }' |
		cc -x c -O2 -shared -fPIC -Wl,-z,now,-z,noseparate-code -o "$BATS_TEST_TMPDIR/load.so" -
	loading=$(faults_of "$BATS_TEST_TMPDIR/load.so" /bin/bash -c true)
	ours=$(faults_of "$(realpath "$library")" /bin/bash -c true)
	echo "loading $loading, ours $ours"
	[ "$loading" -gt 0 ]
	[ $((ours - loading)) -le 5 ]
}
