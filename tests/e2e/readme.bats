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
	equal "$expected" "$actual"
}

@test "the first block: a leak, and the line that opened the socket" {
	happens 1
}

@test "the second block: a Python program, and its own lines" {
	happens 2
}

@test "the demo finds a leak, stays within 80 columns, and ends in a line of the server that exists" {
	grep -q '^make deps demo ' README.md
	run -0 tests/lib/demo
	[[ $output == *"ERROR: sockleak: 1 socket left"*"SUMMARY: sockleak: 1 socket leaked"* ]]
	for line in "${lines[@]}"; do
		[ "${#line}" -le 80 ]
	done
	[[ ${lines[-1]} =~ ^\ *examples/http_server.c:([0-9]+):\ (.*)$ ]]
	[[ $(sed -n "${BASH_REMATCH[1]}p" examples/http_server.c) == *"${BASH_REMATCH[2]}" ]]
}

@test "the third block: a Java program, and its own lines" {
	[[ $(env java -version 2>&1) =~ \"(17|25)[.\"] ]] || skip "no OpenJDK 17 or 25"
	happens 3
}

@test "the fourth block: the report that is explained" {
	happens 4
}

@test "the fifth block: where sockets of one accept were last used" {
	happens 5
}

@test "the sixth block: the command, with source lines" {
	happens 6
}

@test "the seventh block: a test suite that asks" {
	happens 7
}

@test "every example it runs is built by make demo" {
	for example in $(grep -o 'build/examples/[a-z_]*' README.md | sort -u); do
		[[ $(make -n -W "examples/${example##*/}.c" demo) == *" -o $B/examples/${example##*/} "* ]]
	done
}

@test "there is no other block that nobody runs" {
	[ "$(grep -c '^```console$' README.md)" -eq 7 ]
}

@test "the table of options is the library's own" {
	SOCKLEAK_OPTIONS=help=1 LD_PRELOAD=$B/libsockleak.so "$B/examples/clean_server" \
		2>&1 >"$BATS_TEST_TMPDIR/out" | sed -n 's/^  \([a-z_]*\)=\([^ ]*\)$/\1 \2/p' \
		>"$BATS_TEST_TMPDIR/library"
	sed -n 's/^| `\([a-z_]*\)` | `\([^`]*\)` | .*/\1 \2/p' README.md >"$BATS_TEST_TMPDIR/readme"
	[ -s "$BATS_TEST_TMPDIR/library" ]
	diff "$BATS_TEST_TMPDIR/library" "$BATS_TEST_TMPDIR/readme"
}

# templates LANGUAGE: those of tests/README.md, one a file
templates() {
	awk -v language="$1" -v at="$BATS_TEST_TMPDIR" '$0 == "```" language { file = at "/" ++n "." language; next }
		/^```$/ { file = "" } file { print >file }' tests/README.md
}

@test "the templates for tests are tests" {
	local file
	templates c
	for file in "$BATS_TEST_TMPDIR"/*.c; do
		cc -std=gnu11 -D_GNU_SOURCE -Ipreload -Itests/lib -Wall -Wextra -Werror -fsyntax-only "$file"
	done
	[ "${file##*/}" = 4.c ]
	templates bash
	for file in "$BATS_TEST_TMPDIR"/*.bash; do
		sed 's/^@test .*{/template() {/' "$file" >"$file.sh"
		bash -n "$file.sh"
	done
	# What the templates and tables call is there.
	for word in $(sed -n '/^| load | for/,/^$/s/.* | \(`.*\) |$/\1/p' tests/README.md | tr -d '`,'); do
		grep -qE "^$word\(\)" tests/lib/*.bash || { echo "$word"; return 1; }
	done
	grep -q '{"timed-out"' tests/fixtures/guest_signals.c
}

@test "every file, command and target the text names is there" {
	for path in $(grep -o '`\(preload\|examples\|tests\|tools\)/[a-z_./]*`' README.md |
		tr -d '`'); do
		[ -e "$path" ]
	done
	for path in $(grep -oE '\]\([a-z_./]+\)' README.md tests/*/README.md | tr -d '[]()' | cut -d: -f2); do
		[ -e "$path" ]
	done
	for command in $(grep -oE '^(build/)?sockleak [a-z]+' README.md | sort -u | cut -d' ' -f2); do
		"$B/sockleak" "$command" --help >/dev/null
	done
	for target in $(sed -n 's/^make \([a-z-]*\) .*/\1/p' README.md); do
		make -n "$target" >/dev/null
	done
}
