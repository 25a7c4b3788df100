#!/usr/bin/env bats
# The suites of examples/suites, each run as its user would: the test that leaks is red and
# says why, the others are green; without sockleak all are green; and a clean suite is not
# slowed.

load ../lib/sanitizer

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	B=$(realpath "${B:-build}")
	library=$B/libsockleak.so
	suites=$PWD/examples/suites
	cmocka=$B/examples/suites/cmocka/server_test
	pytest=(/usr/bin/python3 -B -m pytest -p no:cacheprovider -q "$suites/pytest")
	# Runs the suite of bats as if there were no bats around it.
	bats=(env -u BATS_TEST_TMPDIR -u BATS_RUN_TMPDIR -u BATS_SUITE_TMPDIR -u BATS_FILE_TMPDIR
		"SERVER=$B/examples/http_server" bats)
	with_sockleak=("SOCKLEAK=$B/sockleak" "SOCKLEAK_LIBRARY=$library")
	without=(SOCKLEAK=true SOCKLEAK_LIBRARY=)
	unset LD_PRELOAD SOCKLEAK_OPTIONS
	sanitizer_with_library
}

line_of() {
	grep -n "$1" "$2" | head -1 | cut -d: -f1
}

@test "cmocka: the test that leaks is red, says what and where, and the next is green" {
	run env CMOCKA_MESSAGE_OUTPUT=TAP LD_PRELOAD="$library" "$cmocka"
	[ "$status" -eq 1 ]
	[[ $output == *"ok 1 - answers_a_ping"* ]]
	[[ $output == *"not ok 2 - refuses_nonsense"* ]]
	[[ $output == *"refuses_nonsense leaves 1 socket(s) open whose peer is gone"* ]]
	[[ $output == *"ok 3 - answers_after_nonsense"* && $output != *"not ok 3"* ]]
	[[ $output == *" in answer+0x"*"(fd "*", test refuses_nonsense)"* ]]
}

@test "cmocka: under sockleak run the report names the line and the test" {
	run "$B/sockleak" run --json="$BATS_TEST_TMPDIR/leaks.json" "$cmocka"
	[ "$status" -eq 1 ]
	jq -e --argjson line "$(line_of 'accept(listener' "$suites/cmocka/server_test.c")" \
		'[.leaks[], .pending[]] | length == 1 and (.[0] | .origin[0].function == "answer" and .origin[0].line == $line
		and .sockets[0].test == "refuses_nonsense")' "$BATS_TEST_TMPDIR/leaks.json"
}

@test "cmocka: without the library all tests are green" {
	run "$cmocka"
	[ "$status" -eq 0 ]
}

@test "pytest: the test that leaks is red, says what and where, and the next is green" {
	without_runtime "Python is built without it"
	run env SOCKLEAK_OPTIONS=log="$BATS_TEST_TMPDIR/leaks.%p" PYTHONTRACEMALLOC=5 LD_PRELOAD="$library" "${pytest[@]}" -rA
	[ "$status" -eq 1 ]
	[[ $output == *"ERROR at teardown of test_refuses_nonsense"*"1 socket(s) left open"* ]]
	[[ $output == *"why: never-read."*"test test_refuses_nonsense)"* ]]
	[[ $output == *"test_server.py\", line $(line_of 'listener.accept' "$suites/pytest/test_server.py")"* ]]
	[[ $output == *"PASSED "*"::test_answers_a_ping"* && $output == *"PASSED "*"::test_answers_after_nonsense"* ]]
	[[ ${lines[-1]} == "3 passed, 1 error in "* ]]
}

@test "pytest: under sockleak run with a log the test is red and says why, too" {
	without_runtime "Python is built without it"
	run "$B/sockleak" run --quiet -o log="$BATS_TEST_TMPDIR/leaks.log" -- "${pytest[@]}"
	[ "$status" -eq 1 ]
	[[ $output == *"1 socket(s) left open"*"why: never-read."*"test test_refuses_nonsense)"* ]]
}

@test "pytest: the test is red without a log, and green without the library" {
	without_runtime "Python is built without it"
	run env LD_PRELOAD="$library" "${pytest[@]}"
	[ "$status" -eq 1 ]
	[[ $output == *"ERROR at teardown of test_refuses_nonsense"*"log=FILE says why"* ]]
	run "${pytest[@]}"
	[ "$status" -eq 0 ]
	[[ ${lines[-1]} == "3 passed in "* ]]
}

@test "bats: the test whose server leaks is red, says where, and the next is green" {
	run env "${with_sockleak[@]}" "${bats[@]}" "$suites/bats"
	[ "$status" -eq 1 ]
	[[ $output == *"ok 1 the first page is there"* && $output != *"not ok 1"* ]]
	[[ $output == *"not ok 2 another page is not"* ]]
	[[ $output == *" in accept_client "*"http_server.c:$(line_of 'int fd = accept' "$PWD/examples/http_server.c") "* ]]
	[[ $output == *"ok 3 the first page is still there"* && $output != *"not ok 3"* ]]
}

@test "bats: without sockleak all tests are green" {
	run env "${without[@]}" "${bats[@]}" "$suites/bats"
	[ "$status" -eq 0 ]
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
	slowdown cmocka 11 1.05 "$B/tests/fixtures/clean_suite" :: env LD_PRELOAD="$library" "$B/tests/fixtures/clean_suite"
}

@test "a clean suite of pytest takes at most 1.05 of its time" {
	slowdown pytest 11 1.05 "${pytest[@]}" -k answers :: \
		env LD_PRELOAD="$library" SOCKLEAK_OPTIONS=log="$BATS_TEST_TMPDIR/log" "${pytest[@]}" -k answers
}

@test "a clean suite of bats takes at most 1.05 of its time" {
	slowdown bats 9 1.05 env "${without[@]}" "${bats[@]}" -f 'first page' "$suites/bats" :: \
		env "${with_sockleak[@]}" "${bats[@]}" -f 'first page' "$suites/bats"
}

# The peer's end closes while the first look is over and the second is waited for: seen by
# another thread, that finds the checking one asleep.
@test "an end of stream that arrives just after the first look is a leak all the same" {
	cat >"$BATS_TEST_TMPDIR/late.c" <<-'C'
		#include "guest.h"
		#include <pthread.h>
		static struct pair pair;
		static _Atomic int is_over;
		static void *closes(void *nothing)
		{
			char path[64], text[16] = "";
			snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", getpid());
			int fd = open(path, O_RDONLY);
			must(fd >= 0);
			while (!is_over && (pread(fd, text, 3, 0) < 2 || atoi(text) != SYS_nanosleep))
				;
			close(fd);
			close(pair.client);
			return nothing;
		}
		int main(void)
		{
			int n_found = 0;
			for (int i = 0; i < 200 && !n_found; i++) {
				uint64_t mark = sockleak_mark();
				pthread_t thread;
				pair = connected();
				is_over = 0;
				must(!pthread_create(&thread, NULL, closes, NULL));
				n_found = sockleak_check_since(mark, 20);
				is_over = 1;
				pthread_join(thread, NULL);
				close(pair.server);
				close(pair.listener);
			}
			return n_found == 1 ? 0 : 1;
		}
	C
	cc -std=gnu11 -D_GNU_SOURCE -Ipreload -Itests/lib -include fcntl.h -include sys/syscall.h \
		-include unistd.h -o "$BATS_TEST_TMPDIR/late" "$BATS_TEST_TMPDIR/late.c" -lpthread
	LD_PRELOAD=$library SOCKLEAK_OPTIONS=log=none "$BATS_TEST_TMPDIR/late"
}
