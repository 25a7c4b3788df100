#!/usr/bin/env bats
# Children that are told from their parent with difficulty: in its memory (vfork, clone),
# with its pid (in a PID namespace), or made without the handlers of fork.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	without_runtime "a child in its parent's memory shares the runtime's state, too"
	children=$fixtures/guest_children
}

@test "what a child in the parent's memory opens is not the parent's, which goes on looking" {
	for case in vforked-client cloned-as-vfork cloned-beside; do
		same_both_with_ledger grace=50ms:interval=20ms "$children" "$case"
	done
}

@test "a child with the pid of its parent does not end with the parent's verdict" {
	for case in pid-1-exits pid-1-exits-by-number; do
		same exitcode=9 "$children" "$case"
		same exitcode=9:thread=no "$children" "$case"
		run -0 preloaded exitcode=9 "$children" "$case"
		[[ $output != *SUMMARY* ]]
	done
}

@test "a child with the pid of its parent has a verdict of its own" {
	run -0 preloaded exitcode=9 "$children" pid-1-leaks
	[[ $output == *"child: exit 9 signal 0"* ]]
	[ "$(grep -c 'SUMMARY: sockleak: 1 socket leaked' <<<"$output")" -eq 1 ]
}
