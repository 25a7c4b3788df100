#!/usr/bin/env bats
# A clean suite is not slowed: `make check-cost`, on a machine that has nothing else to do.

bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	common_setup
	suites=$PWD/examples/suites
	pytest=(/usr/bin/python3 -B -m pytest -p no:cacheprovider -q "$suites/pytest")
	# Runs the suite of bats as if there were no bats around it.
	bats=(env -u BATS_TEST_TMPDIR -u BATS_RUN_TMPDIR -u BATS_SUITE_TMPDIR -u BATS_FILE_TMPDIR
		"SERVER=$build/examples/http_server" bats)
}

# slowdown NAME PAIRS COMMAND... :: COMMAND...
slowdown() {
	local name=$1
	shift
	plain_build "its costs are the sanitizer's"
	run /usr/bin/python3 -B tests/lib/slowdown.py "$@"
	echo "# a clean suite of $name: $output" >&3
	[ "$status" -eq 0 ]
}

@test "a clean suite of cmocka takes at most 1.05 of its time" {
	slowdown cmocka 11 1.05 "$build/tests/fixtures/clean_suite" :: env LD_PRELOAD="$library" "$build/tests/fixtures/clean_suite"
}

@test "a clean suite of pytest takes at most 1.05 of its time" {
	slowdown pytest 11 1.05 "${pytest[@]}" -k answers :: \
		env LD_PRELOAD="$library" SOCKLEAK_OPTIONS=log="$BATS_TEST_TMPDIR/log" "${pytest[@]}" -k answers
}

@test "a clean suite of bats takes at most 1.05 of its time" {
	slowdown bats 9 1.05 env SOCKLEAK=true SOCKLEAK_LIBRARY= "${bats[@]}" -f 'first page' "$suites/bats" :: \
		env SOCKLEAK="$sockleak" SOCKLEAK_LIBRARY="$library" "${bats[@]}" -f 'first page' "$suites/bats"
}
