#!/usr/bin/env bats
# Each example gives the report that its head comment shows.

bats_require_minimum_version 1.5.0
load ../lib/report

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	B=${B:-build}
	sanitizer_options
}

# gives_what_its_head_shows NAME
gives_what_its_head_shows() {
	local shown command actual expected

	shown=$(shown_in_head "examples/$1.c")
	command=$(command_of <<<"$shown")
	[[ $command == *"LD_PRELOAD=build/libsockleak.so build/examples/$1 " ]]
	command=${command//build\//$B/}
	command=${command/LD_PRELOAD=/LD_PRELOAD=$(sanitizer_first)}
	expected=$(output_of <<<"$shown")
	bash -c "exec env $command" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
	if [[ $expected == ==PID==* || -z $expected ]]; then
		actual=$(normalise_report <"$BATS_TEST_TMPDIR/err")
	else
		[[ ! -s $BATS_TEST_TMPDIR/err ]]
		actual=$(squeezed <"$BATS_TEST_TMPDIR/out")
	fi
	equal "$(squeezed <<<"$expected")" "$actual"
}

@test "forgotten_accept: the accept and where the end of stream was read" {
	gives_what_its_head_shows forgotten_accept
}

@test "error_path: only the request of the error path leaks" {
	gives_what_its_head_shows error_path
}

@test "never_read: found by age, since no read call tells" {
	gives_what_its_head_shows never_read
}

@test "lost_in_handler: where the sockets of one accept were last used" {
	gives_what_its_head_shows lost_in_handler
}

@test "lost_duplicate: the duplicate is named as the reason" {
	gives_what_its_head_shows lost_duplicate
}

@test "held_by_child: the child reports what its parent opened" {
	gives_what_its_head_shows held_by_child
}

@test "shutdown_not_closed: dead, not in CLOSE_WAIT" {
	gives_what_its_head_shows shutdown_not_closed
}

@test "half_close: a side that still sends is no leak" {
	gives_what_its_head_shows half_close
}

@test "clean_server: nothing is printed" {
	gives_what_its_head_shows clean_server
}

@test "ask: counts, forgives what is expected, and links nothing" {
	gives_what_its_head_shows ask
	run -0 readelf -d "$B/examples/ask"
	[[ $output != *sockleak* ]]
}

@test "ask: without the library every answer is 0" {
	run "$B/examples/ask"
	[ "$status" -eq 0 ]
	[[ $output == *"forgets its socket: ok"* ]]
}

@test "every example is tested here, but those with tests of their own" {
	for example in examples/*.c; do
		name=$(basename "$example" .c)
		[[ $name == http_server || $name == lifecycle ]] || # the demo's, lifecycle.bats
			grep -q "shows $name\$" "$BATS_TEST_FILENAME"
	done
}
