#!/usr/bin/env bats
# Nothing of ours allocates where the allocator of the host may be locked for ever: in a
# child that no handler of fork ran in, or inside an allocator that makes a connection.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	without_runtime "the allocator is the runtime's"
	allocator="timeout -s KILL 20 $fixtures/guest_allocator"
}

@test "a child made without the handlers of fork does not wait for the allocator" {
	for case in forked-with-helper forked-without-helper cloned-with-helper \
		cloned-without-helper; do
		# shellcheck disable=SC2086
		same_both $allocator "$case"
	done
}

@test "an allocator may make connections under its lock" {
	# shellcheck disable=SC2086
	same_both $allocator tells-under-its-lock
}

@test "what an allocator must not wait for is started with another connection" {
	# shellcheck disable=SC2086
	run -0 preloaded interval=20ms $allocator helper-comes-later
	[ "${lines[1]}" = "2 threads" ]
}

@test "while the helper may not be started the calls of the program look" {
	# shellcheck disable=SC2086
	run -9 --separate-stderr preloaded interval=20ms:grace=200ms:exitcode=9 $allocator \
		stale-word < <(sleep 1) # past its grace, and a look a thousandth of it
	[ "${lines[1]}" = "1 threads" ]
	[[ $stderr == *"SUMMARY: sockleak: 1 socket leaked"*"closed only by the program's end"* ]]
}
