#!/usr/bin/env bats
# Calls that are made on a stack as small as they may be: what a hook takes of it has a
# bound, whatever is done in it for the first time.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	plain_build "the runtime takes stack of its own"
	calls=$fixtures/guest_small_stacks
	cd "$BATS_TEST_TMPDIR"
	export LD_BIND_NOW=1 # the loader takes more than the calls
	"$calls" measure >sizes
	mkdir -m 700 ledgers
}

@test "no call takes more than 1,536 bytes of stack more than without the library" {
	for options in interval=20ms thread=no:interval=1ms \
		thread=no:interval=1ms:ledger=ledgers:exitcode=0 \
		uses=yes:interval=20ms uses=yes:thread=no:interval=1ms:ledger=ledgers; do
		# A child that leaks says so; the calls are told apart by the lines.
		LD_PRELOAD=$preloads SOCKLEAK_OPTIONS=log=none:grace=1ms:$options \
			"$calls" fits 1536 <sizes >fits
		[ "$(wc -l <fits)" -eq $((2 * $(wc -l <sizes))) ]
		run ! grep -v 'exit 0 signal 0' fits
	done
}

@test "a program that ends on a small stack reports its leaks, by any way to end" {
	for options in interval=20ms thread=no:interval=1ms; do
		for way in _exit _Exit exit quick_exit; do
			grep "^$way " sizes | LD_PRELOAD=$preloads \
				SOCKLEAK_OPTIONS=at_exit=all:$options "$calls" fits 1536 >out 2>err
			[ "$(grep -c 'SUMMARY: sockleak: 1 socket leaked' err)" = 1 ]
		done
	done
}
