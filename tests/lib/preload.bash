# shellcheck shell=bash
# What the library prints of a host that is preloaded.

: "${B:=build}"
# shellcheck source=tests/lib/common.bash
source "${BASH_SOURCE%/*}/common.bash"
library=$PWD/$B/libsockleak.so
actor=$B/tests/fixtures/actor
errors=$BATS_TEST_TMPDIR/errors
sanitizer_with_library

# For tests that run the actor in a directory of their own, with `ledgers` in it.
actor_setup() {
	common_setup
	actor=$fixtures/actor
	cd "$BATS_TEST_TMPDIR" || return 1
	mkdir ledgers
}

# runtime_of HOST: of the thread sanitizer, which must come first where the host has none
runtime_of() {
	[[ $SAN != *thread* || $1 == "$B"/* ]] || sanitizer_first
}

# logged OPTIONS COMMAND...: runs it preloaded; its standard error goes into $errors
logged() {
	local options=$1
	shift
	SOCKLEAK_OPTIONS=$options LD_PRELOAD=$(runtime_of "$1")$library "$@" 2>"$errors"
}

# begin OPTIONS COMMAND...: the same in the background; its pid in $host
begin() {
	local options=$1
	shift
	: >"$errors"
	# A subshell would stand between us and the pid.
	SOCKLEAK_OPTIONS=$options LD_PRELOAD=$(runtime_of "$1")$library "$@" 2>"$errors" 3>&- &
	host=$!
}

# says PATTERN [FILE]: standard error of the host has a line that matches
says() {
	grep -qE -- "$1" "${2:-$errors}" || {
		echo "no line matches: $1"
		cat "${2:-$errors}"
		return 1
	}
}

says_nothing() {
	[ ! -s "$errors" ] || { cat "$errors"; return 1; }
}

# count_of PATTERN: how many lines match
count_of() {
	grep -cE -- "$1" "$errors" || true
}
