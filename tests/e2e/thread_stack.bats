#!/usr/bin/env bats
# The helper thread has a stack of its own, with room for what the program keeps in each.

load ../lib/guest

setup() {
	guest_setup
	tmp=$BATS_TEST_TMPDIR
}

@test "a program with 248 KiB of storage per thread is looked at by the helper" {
	preloaded grace=1ms:interval=1ms:log="$tmp/log" "$fixtures/guest_large_storage" \
		"$tmp/end" >"$tmp/out" &
	wait_until 30 grep -q '1 socket left in CLOSE_WAIT' "$tmp/log" || true
	touch "$tmp/end"
	wait $!
	grep -q alive "$tmp/out"
	grep -q '1 socket left in CLOSE_WAIT' "$tmp/log"
}
