#!/usr/bin/env bats
# A suite in which a test whose server leaves a socket open turns red, and says where it
# was opened: the second one, since examples/http_server forgets the clients of pages that
# do not exist.
#
#	SOCKLEAK=build/sockleak SOCKLEAK_LIBRARY=build/libsockleak.so \
#		SERVER=build/examples/http_server bats examples/suites/bats

load leaks

setup() {
	start_server "${SERVER:-./http_server}"
	until port=$(grep -s listening "$BATS_TEST_TMPDIR/server.out"); do
		kill -0 "$server"
		sleep 0.01
	done
	port=${port##*:}
}

teardown() {
	stop_server "$port"
}

# The status of a page.
status_of() {
	curl -s -o "$BATS_TEST_TMPDIR/page" -w '%{http_code}' "http://127.0.0.1:$port$1"
}

@test "the first page is there" {
	[ "$(status_of /)" = 200 ]
}

@test "another page is not" {
	[ "$(status_of /nowhere)" = 404 ]
}

@test "the first page is still there" {
	[ "$(status_of /)" = 200 ]
}
