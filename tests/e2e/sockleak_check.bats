#!/usr/bin/env bats
# A program that asks by sockleak.h, and whose signals come meanwhile.

load ../lib/guest

setup() {
	guest_setup
	checks=$fixtures/guest_checks
}

# asked CASE: with the helper thread and without; nothing is printed of what is found
asked() {
	same_both_with_ledger interval=20ms "$checks" "$1"
}

@test "pipe2() and mincore() do in a handler during a check what they always do" {
	asked true-answers
}

@test "a handler that jumps out of a check leaves nothing behind" {
	asked jumped-out
}
