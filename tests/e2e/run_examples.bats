#!/usr/bin/env bats
# sockleak run on each example gives the kind, why, count, call and the first function,
# file and line that the example itself claims.

bats_require_minimum_version 1.5.0
load ../lib/command
load ../lib/java
load ../lib/ruby

setup() {
	command_setup
}

# What the example says must be reported, on its output; "none" is no line.
claims() {
	sed -n 's/^expect //p' | sed -e '/^none$/d' -e 's/ pid=.*//' | sort
}

# The same of a report.
found() {
	jq -r '.leaks[] | [.kind, (.why | join(",")), .count, .call // "-",
		.origin[0].function // .origin_note,
		(.origin[0] | if .file then (.file | sub(".*/"; "")) + ":\(.line)" else "-" end)]
		| join(" ")' "$1" | sort
}

# gives_what_it_claims NAME STATUS [GRACE]
gives_what_it_claims() {
	cd "$top" # files of the sources are named from here
	local json=$BATS_TEST_TMPDIR/json
	run "-$2" --separate-stderr "$sockleak" run --error-exitcode=9 --json="$json" \
		--grace="${3:-300ms}" -O interval=50ms -- "$build/examples/$1"
	valid_report "$json"
	equal "$(claims <<<"$output")" "$(found "$json")"
}

@test "forgotten_accept" {
	gives_what_it_claims forgotten_accept 9
}

@test "error_path" {
	gives_what_it_claims error_path 9
}

@test "never_read" {
	gives_what_it_claims never_read 9
}

@test "lost_in_handler" {
	gives_what_it_claims lost_in_handler 9
}

@test "lost_duplicate" {
	gives_what_it_claims lost_duplicate 9
}

@test "held_by_child" {
	gives_what_it_claims held_by_child 9
}

@test "shutdown_not_closed" {
	gives_what_it_claims shutdown_not_closed 9
}

@test "half_close and clean_server: nothing" {
	gives_what_it_claims half_close 0 1s
	gives_what_it_claims clean_server 0
}

@test "Pool.java" {
	without_runtime "Java is built without it"
	[ "$(uname -m)" = x86_64 ] || skip "no frames of Java on this machine"
	home=$(java_homes | head -n 1)
	[ -n "$home" ] || skip "no OpenJDK 17 or 25 with a compiler"
	run -9 --separate-stderr "$sockleak" run --error-exitcode=9 --json="$BATS_TEST_TMPDIR/json" --grace=300ms \
		-O interval=50ms -- "$home/bin/java" "$top/examples/Pool.java"
	valid_report "$BATS_TEST_TMPDIR/json"
	# The first frames are those of Java's own classes.
	jq '.leaks[].origin |= map(select(.function | test("^(sun|java)[.]") | not))' \
		"$BATS_TEST_TMPDIR/json" >own
	equal "$(claims <<<"$output")" "$(found own)"
}

@test "pool.js" {
	without_runtime "Node is built without it"
	run -9 --separate-stderr "$sockleak" run --node --error-exitcode=9 \
		--json="$BATS_TEST_TMPDIR/json" --grace=300ms -O interval=50ms -- node "$top/examples/pool.js"
	valid_report "$BATS_TEST_TMPDIR/json"
	# The first frames are those of Node's own modules.
	jq '.leaks[].origin |= map(select(.file // "" | startswith("node:") | not))' \
		"$BATS_TEST_TMPDIR/json" >own
	equal "$(claims <<<"$output")" "$(found own)"
}

# gives_what_it_claims_of INTERPRETER FILE
gives_what_it_claims_of() {
	run -9 --separate-stderr "$sockleak" run --error-exitcode=9 --json="$BATS_TEST_TMPDIR/json" --grace=300ms \
		-O interval=50ms -- "$1" "$top/examples/$2"
	valid_report "$BATS_TEST_TMPDIR/json"
	# The first frame may be that of the language's own library.
	jq '.leaks[].origin |= map(select(.file // "" | startswith("/usr/lib/") | not))' \
		"$BATS_TEST_TMPDIR/json" >own
	equal "$(claims <<<"$output")" "$(found own)"
}

@test "pool.py" {
	without_runtime "Python is built without it"
	gives_what_it_claims_of /usr/bin/python3 pool.py
}

@test "pool.rb" {
	without_runtime "Ruby is built without it"
	[ "$(uname -m)" = x86_64 ] || skip "no frames of Ruby on this machine"
	has_ruby || skip "no Ruby 3.1"
	gives_what_it_claims_of /usr/bin/ruby pool.rb
}
