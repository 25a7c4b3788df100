#!/usr/bin/env bats
# What README.md shows is what happens.

bats_require_minimum_version 1.5.0
load ../lib/report

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	B=${B:-build}
	without_runtime "what it shows is of plain programs"
}

# The lines of the n-th console block.
block() {
	awk -v n="$1" '/^```console$/ { in_block = 1; at++; next } /^```$/ { in_block = 0 }
		in_block && at == n' README.md
}

# happens N: the command of the N-th console block gives what stands below it.
happens() {
	local command actual expected

	command=$(block "$1" | command_of)
	command=${command//build\//$B/}
	expected=$(block "$1" | output_of | normalise_report)
	[ -n "$expected" ]
	actual=$(MAKEFLAGS=-s bash -c "exec env $command" 2>&1 | normalise_report)
	compare "$expected" "$actual"
}

@test "the first block: make deps demo shows a leak, and the line to mend" {
	[[ $(block 1 | command_of) == "make deps demo " ]]
	happens 1
}

@test "the demo stays within 80 columns, and ends in a line of the server that exists" {
	run tests/lib/demo
	[ "$status" -eq 0 ]
	for line in "${lines[@]}"; do
		[ "${#line}" -le 80 ]
	done
	[[ ${lines[-1]} =~ ^\ *examples/http_server.c:([0-9]+):\ (.*)$ ]]
	[[ $(sed -n "${BASH_REMATCH[1]}p" examples/http_server.c) == *"${BASH_REMATCH[2]}" ]]
}

@test "the second block: the report that is explained" {
	happens 2
}

@test "the third block: the command, with source lines" {
	happens 3
}

@test "the fourth block: a test suite that asks" {
	happens 4
}

@test "every example it runs is built by make demo" {
	for example in $(grep -o 'build/examples/[a-z_]*' README.md | sort -u); do
		[[ $(make -n -W "examples/${example##*/}.c" demo) == *" -o $B/examples/${example##*/} "* ]]
	done
}

@test "there is no other block that nobody runs" {
	[ "$(grep -c '^```console$' README.md)" -eq 4 ]
}

@test "the table of options is the library's own" {
	SOCKLEAK_OPTIONS=help=1 LD_PRELOAD=$B/libsockleak.so "$B/examples/clean_server" \
		2>&1 >"$BATS_TEST_TMPDIR/out" | sed -n 's/^  \([a-z_]*\)=\([^ ]*\)$/\1 \2/p' \
		>"$BATS_TEST_TMPDIR/library"
	sed -n 's/^| `\([a-z_]*\)` | `\([^`]*\)` | .*/\1 \2/p' README.md >"$BATS_TEST_TMPDIR/readme"
	[ -s "$BATS_TEST_TMPDIR/library" ]
	diff "$BATS_TEST_TMPDIR/library" "$BATS_TEST_TMPDIR/readme"
}

@test "every file, command and target the text names is there" {
	for path in $(grep -o '`\(preload\|examples\|tests\|tools\)/[a-z_./]*`' README.md |
		tr -d '`'); do
		[ -e "$path" ]
	done
	for command in $(grep -oE '^(build/)?sockleak [a-z]+' README.md | sort -u | cut -d' ' -f2); do
		"$B/sockleak" "$command" --help >/dev/null
	done
	for target in $(sed -n 's/^make \([a-z]*\) .*/\1/p' README.md); do
		[[ $target == SAN ]] || make -n "$target" >/dev/null
	done
}
