#!/usr/bin/env bats
# A program that ends in a handler which interrupted malloc(): the final report takes no
# memory of it, on whatever stack the handler runs.

load ../lib/guest

setup() {
	guest_setup
	plain_build "malloc is the runtime's"
	err=$BATS_TEST_TMPDIR/err
}

@test "exit in a handler that interrupted malloc calls it no more, and reports the leak" {
	for options in interval=20ms thread=no:interval=20ms; do
		for stack in '' own; do
			same log=none:$options "$fixtures/guest_exit_in_malloc" $stack
			(preloaded $options "$fixtures/guest_exit_in_malloc" $stack) \
				2>"$err" >"$err.out" || [ $? = 3 ]
			grep -q '1 socket leaked' "$err"
		done
	done
}
