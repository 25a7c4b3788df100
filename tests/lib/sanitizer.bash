# shellcheck shell=bash
# Tests in a build with a sanitizer (SAN, as make was given it).  A test that tells nothing
# there skips itself and says why: `make check-asan` and its like show each.

# What must stand before the library in LD_PRELOAD where both are built with a sanitizer:
# its runtime, and a colon.
sanitizer_first() {
	case $SAN in
	*address*) echo "$(realpath "$(cc -print-file-name=libasan.so)"):" ;;
	*thread*) echo "$(realpath "$(cc -print-file-name=libtsan.so)"):" ;;
	esac
}

# What hosts forget of memory, and the signals they die of, are theirs.  A child of many
# threads starts one: ours.  A second's sleep at each exit would be past grace.
sanitizer_options() {
	export ASAN_OPTIONS=detect_leaks=0:handle_segv=0
	export TSAN_OPTIONS=die_after_fork=0:atexit_sleep_ms=0
}

# For hosts that need not be built with it: the runtime comes with the library, which is
# preloaded before the host's own.
sanitizer_with_library() {
	sanitizer_options
	ASAN_OPTIONS+=:verify_asan_link_order=0
}

# plain_build WHY: for tests of what every sanitizer changes
plain_build() {
	[ -z "$SAN" ] || skip "built with $SAN: $1"
}

# without_runtime WHY: of what a runtime does that stands in for calls, as those of the
# address and of the thread sanitizer do
without_runtime() {
	[[ $SAN != *address* && $SAN != *thread* ]] || skip "built with $SAN: $1"
}

# not_with SANITIZER WHY
not_with() {
	[[ $SAN != *$1* ]] || skip "built with $SAN: $2"
}
