#!/usr/bin/env bats
# A socket that its opener has closed is found in whatever child inherited it, by whichever
# call the child was made.

bats_require_minimum_version 1.5.0
load ../lib/guest

ways="spawn spawnp vfork popen system quick-fork by-number"

setup() {
	guest_setup
	host=$fixtures/host_inherited
	cd "$BATS_TEST_TMPDIR"
}

teardown() {
	touch end
	wait || true
	for way in $ways; do
		kill "$(holder_of "$way")" 2>/dev/null || true
	done
}

holder_of() {
	awk '/^holder/ { print $2 }' "out.$1"
}

names_holder() {
	grep -qE "\(fd [0-9]+ of process $(holder_of "$1") \(" "err.$1"
}

@test "the opener's log names the child that holds a socket, by whichever call it was made" {
	local way

	for way in $ways; do
		LD_PRELOAD=$preloads SOCKLEAK_OPTIONS=exitcode=9:grace=100ms:interval=20ms \
			"$host" "$way" end >"out.$way" 2>"err.$way" 3>&- &
		echo $! >"pid.$way"
	done
	for way in $ways; do
		wait_until 60 names_holder "$way"
	done
	touch end
	for way in $ways; do
		ended_with 9 "$(<"pid.$way")"
		grep -q ' in accept_client+' "err.$way"
		grep -q 'SUMMARY: sockleak: 1 socket leaked at 1 place' "err.$way"
	done
}
