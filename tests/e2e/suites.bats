#!/usr/bin/env bats
# The suites of examples/suites, each run as its user would: the test that leaks is red and
# says why, the others are green; without sockleak all are green.

load ../lib/common

setup() {
	common_setup
	B=$build
	suites=$PWD/examples/suites
	cmocka=$B/examples/suites/cmocka/server_test
	pytest=(env "PYTHONPATH=$suites/pytest" /usr/bin/python3 -B -m pytest -p sockleak
		-p no:cacheprovider -q "$suites/pytest")
	# Runs the suite of bats as if there were no bats around it.
	bats=(env -u BATS_TEST_TMPDIR -u BATS_RUN_TMPDIR -u BATS_SUITE_TMPDIR -u BATS_FILE_TMPDIR
		"SERVER=$B/examples/http_server" bats)
	with_sockleak=("SOCKLEAK=$B/sockleak" "SOCKLEAK_LIBRARY=$library")
	without=(SOCKLEAK=true SOCKLEAK_LIBRARY=)
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

@test "cmocka: the page needs nothing but itself, the header and cmocka" {
	mkdir "$BATS_TEST_TMPDIR/page"
	cp "$suites/cmocka/server_test.c" preload/sockleak.h "$BATS_TEST_TMPDIR/page"
	cc -std=gnu11 -Wall -Wextra -Werror -o "$BATS_TEST_TMPDIR/suite" "$BATS_TEST_TMPDIR/page/server_test.c" -lcmocka
}

@test "cmocka: without the library all tests are green" {
	run "$cmocka"
	[ "$status" -eq 0 ]
}

# names_the_leak: as pytest shows a failure
names_the_leak() {
	[[ $output == *"ERROR at teardown of test_refuses_nonsense"*"1 socket(s) left open"* ]]
	[[ $output == *" in answer (${suites#"$PWD/"}/pytest/test_server.py:$(line_of 'listener.accept' "$suites/pytest/test_server.py"))"* ]] ||
		[[ $output == *"answer"*"test_server.py:$(line_of 'listener.accept' "$suites/pytest/test_server.py")"* ]]
	[[ $output == *"why: never-read."*"test test_refuses_nonsense)"* ]]
	# Of pytest's own frames there is none.
	[[ $output != *"/_pytest/"* && $output != *"/pluggy/"* ]]
}

@test "pytest: the test that leaks is red, says what and where, and the next is green" {
	without_runtime "Python is built without it"
	run env LD_PRELOAD="$library" "${pytest[@]}" -rA --junitxml="$BATS_TEST_TMPDIR/tests.xml"
	[ "$status" -eq 1 ]
	names_the_leak
	[[ $output == *"PASSED "*"::test_answers_a_ping"* && $output == *"PASSED "*"::test_answers_after_nonsense"* ]]
	[[ $output == *$'\n'"3 passed, 1 error in "* ]]
	[[ $(xmllint --xpath 'string(//testcase[@name="test_refuses_nonsense"]/error)' "$BATS_TEST_TMPDIR/tests.xml") == \
		*"1 socket(s) left open"*"why: never-read."* ]]
}

@test "pytest: wherever the log goes, and under sockleak run, the message is the same" {
	without_runtime "Python is built without it"
	run env SOCKLEAK_OPTIONS=log=none LD_PRELOAD="$library" "${pytest[@]}"
	[ "$status" -eq 1 ]
	names_the_leak
	run "$B/sockleak" run --quiet -- "${pytest[@]}"
	[ "$status" -eq 1 ]
	names_the_leak
}

@test "pytest: without the library all tests are green" {
	run "${pytest[@]}"
	[ "$status" -eq 0 ]
	[[ ${lines[-1]} == "3 passed in "* ]]
}

# In a directory of their own, with the headers as they are installed.
@test "GoogleTest and Catch2: the tests that leak are red, say what and where, in their XML too" {
	plain_build "the suites have no runtime"
	mkdir "$BATS_TEST_TMPDIR/page" && cd "$BATS_TEST_TMPDIR"
	cp "$suites"/cplusplus/* "$OLDPWD/preload/sockleak.h" page
	export PATH=$B:$PATH
	CXXFLAGS="-I$PWD/page -Wall -Wextra -Werror -O0" cmake -S page -B built >log
	cmake --build built >>log
	run env GTEST_OUTPUT=xml:gtest.xml ctest --test-dir built --output-on-failure
	[ "$status" -eq 8 ]
	[[ $output == *"[  FAILED  ] Server.RefusesNonsense"*"2 tests"* || $output == *"1 FAILED TEST"* ]]
	[[ $output == *"refuses nonsense"*"1 socket(s) left open"*"test cases: 3 | 2 passed | 1 failed"* ]]
	run env LD_PRELOAD="$library" SOCKLEAK_OPTIONS=log=none built/gtest_suite --gtest_output=xml:gtest.xml
	[ "$status" -eq 1 ]
	[[ $(xmllint --xpath 'string(//testcase[@name="RefusesNonsense"]/failure)' gtest.xml) == *"1 socket(s) left open"*" in _Z6answeri+"* ]]
	[ "$(xmllint --xpath 'count(//failure)' gtest.xml)" = 1 ]
	run env LD_PRELOAD="$library" SOCKLEAK_OPTIONS=log=none built/catch2_suite -r junit -o catch2.xml
	[ "$status" -ne 0 ] # 1, 42 of version 3
	[[ $(xmllint --xpath 'string(//failure)' catch2.xml) == *"1 socket(s) left open"*" in _Z6answeri+"* ]]
	[ "$(xmllint --xpath 'count(//failure)' catch2.xml)" = 1 ]
	built/gtest_suite >log
	built/catch2_suite >log
}

@test "bats: the test whose server leaks is red, says where, and the next is green" {
	run env "${with_sockleak[@]}" "${bats[@]}" "$suites/bats"
	[ "$status" -eq 1 ]
	[[ $output == *"ok 1 the first page is there"* && $output != *"not ok 1"* ]]
	[[ $output == *"not ok 2 another page is not"* ]]
	[[ $output == *" accept_client "*"http_server.c:$(line_of 'int fd = accept' "$PWD/examples/http_server.c")"$'\n'* ]]
	[[ $output == *"ok 3 the first page is still there"* && $output != *"not ok 3"* ]]
}

@test "bats: without sockleak all tests are green" {
	run env "${without[@]}" "${bats[@]}" "$suites/bats"
	[ "$status" -eq 0 ]
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
