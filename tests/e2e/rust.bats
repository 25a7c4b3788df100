#!/usr/bin/env bats
# Programs in Rust: their names are read as their authors wrote them, and what is of Rust's
# library or of a dependency is left out at a glance.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
	plain_build "a program in Rust does not start with its runtime"
	source=$top/tests/fixtures/pool.rs
}

line() {
	grep -n "// line: $1\$" "$source" | cut -d: -f1
}

@test "both manglings, with and without optimization" {
	for options in "" -O "-C symbol-mangling-version=v0" "-O -C symbol-mangling-version=v0"; do
		# shellcheck disable=SC2086 # these are words
		/usr/bin/rustc -A warnings -g $options -o pool "$source"
		"$sockleak" run --at-exit=all --json=json -- ./pool 2>text
		equal 5 "$(of '[.leaks[].count] | add')"
		sed -n '/^\[1\]/,/^$/p' text >first
		grep -qE "^      pool::pool::Pool<>::take +$source:$(line take)\$" first
		grep -qE "^      pool::serve +$source:$(line serve)\$" first
		grep -qE "^      \.\.\. [0-9]+ of Rust's std and libc\$" first
		grep -qE "^    told by recv\(\) in  pool::serve  .*/pool\.rs:$(line read)\$" text
		# No name is as the linker has it, and none has a hash behind it.
		equal true "$(of '[.leaks[].origin[].function // "" |
			test("^_[RZ]|\\$|::h[0-9a-f]{16}$") | not] | all')"
	done
}
