#!/usr/bin/env bats
# Under valgrind's memcheck: what we copy off stacks is no error of the program's.

load ../lib/guest

setup() {
	guest_setup
	plain_build "valgrind cannot run a sanitizer's program"
	tmp=$BATS_TEST_TMPDIR
}

# checked OPTIONS: the fixture's status under memcheck, 99 if that finds anything
checked() {
	local status=0

	LD_PRELOAD=$library SOCKLEAK_OPTIONS=$1 valgrind --error-exitcode=99 --leak-check=full \
		--log-file="$tmp/memcheck" "$fixtures/guest_undefined" 2>"$tmp/err" || status=$?
	if [ "$status" != 3 ] || grep -i warning "$tmp/memcheck"; then
		echo "status $status"
		cat "$tmp/memcheck"
		return 1
	fi
	grep -q '1 socket leaked' "$tmp/err"
}

@test "memcheck finds nothing in a program that is watched, and its leak is found" {
	checked grace=500ms:interval=10ms
	checked grace=500ms:interval=10ms:thread=no
}
