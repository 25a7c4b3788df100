#!/usr/bin/env bats
# The frames of Python programs, as a part of the library captures them in calls, against
# those that Python itself sees.

bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	common_setup
	plain_build "Python is not, and the library is no host's"
	export PYTHONDONTWRITEBYTECODE=1
	cd "$BATS_TEST_TMPDIR"
}

# python PROGRAM [ARGUMENT...]: what it prints is in $output
python() {
	run env LD_PRELOAD="$fixtures/python_preload.so" /usr/bin/python3 \
		"$top/tests/fixtures/$1" "${@:2}"
	echo "$* $SHIFT: status $status: $output"
}

# counts: "equal none wrong trials" of the last tree
counts() {
	sed -nE '$s/^([0-9]+) equal, ([0-9]+) none, ([0-9]+) wrong, ([0-9]+) trials left$/\1 \2 \3 \4/p' <<<"$output"
}

@test "every frame of 1,000 random trees of calls has its function, file and line" {
	for seed in 1 2; do
		python python_trees.py $seed 500
		[ "$status" -eq 0 ]
		read -r equal none wrong trials < <(counts)
		[ "$equal" -gt 500 ]
		[ "$none$wrong$trials" = 000 ]
	done
}

@test "where the kernel may not be asked the main thread has its frames, others have none" {
	export FILTERED=1
	python python_trees.py 1 200 may-be-none
	[ "$status" -eq 0 ]
	read -r equal none wrong trials < <(counts)
	[ "$equal" -gt 200 ]
	[ "$none" -gt 0 ]
	[ "$wrong$trials" = 00 ]
}

@test "a layout that is wrong in one field yields no wrong frame, and no crash" {
	SHIFT=fields python python_trees.py 3 10
	fields=$(sed -n 's/^FIELD //p' <<<"$output")
	[ "$(wc -w <<<"$fields")" -gt 10 ]
	for field in $fields; do
		for bytes in -8 8; do
			export SHIFT=$field:$bytes
			python python_trees.py 3 10 may-be-none
			[ "$status" -eq 0 ]
			read -r equal none wrong trials < <(counts)
			# Frames before the first that cannot be told are right.
			[ "$none" -gt "$equal" ]
			[ "$wrong" = 0 ]
		done
	done
}

# ends_well: or by a fault of Python's own, as 3.13 does at times
ends_well() {
	python python_ends.py 50
	[ "$status" -eq 0 ] || [ "$status" -eq 139 ]
}

@test "a program that ends while its threads accept ends well, whatever is unmapped" {
	# What is freed is gone at once: a load from it ends the program.
	export MALLOC_MMAP_THRESHOLD_=200
	for _ in {1..10}; do
		ends_well
	done
	export PAUSE=1
	for _ in {1..5}; do
		ends_well
	done
}

@test "in a thread a capture is one system call, for the thread's state and its frames" {
	strace -f -o trace -e trace=process_vm_readv,gettid \
		env LD_PRELOAD="$fixtures/python_preload.so" /usr/bin/python3 \
		"$top/tests/fixtures/python_thread.py" 1000
	# Those before it are trials, or learn what is to be asked for.
	tail -n 1000 trace | grep -c 'process_vm_readv(.* [123], 0) = [0-9]*$' >counted
	[ "$(cat counted)" -ge 990 ]
}
