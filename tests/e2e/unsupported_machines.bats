#!/usr/bin/env bats
# Machines that sockleak does not know are refused when it is built, not when it runs.

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
}

@test "pointers of 32 bits and big-endian machines are refused by the compiler" {
	for macro in __ILP32__ __AARCH64EB__; do
		run "${CC:-cc}" -D$macro -fsyntax-only -Ipreload -x c preload/base/system_call.h
		[ "$status" != 0 ]
		[[ $output == *'sockleak knows x86_64 and aarch64'* ]]
	done
}
