# shellcheck shell=bash
# What all tests load, by themselves or with one of the files that build on this one:
#   guest.bash     the same program bare and preloaded
#   preload.bash   what the library prints of a program
#   command.bash   the command, on ledgers made by hand and on programs it runs
#   report.bash    reports as documents show them
# No word of these files has two meanings.

# shellcheck source=tests/lib/wait.bash
source "${BASH_SOURCE%/*}/wait.bash"

# Where everything is, and no options of the caller's; ends in the project's directory.
# shellcheck disable=SC2034 # for the tests that load this
common_setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	top=$PWD
	build=$(realpath "${B:-build}")
	library=$build/libsockleak.so
	sockleak=$build/sockleak
	fixtures=$build/tests/fixtures
	unset LD_PRELOAD SOCKLEAK_OPTIONS SOCKLEAK_DEBUG_PATH DEBUGINFOD_URLS NO_COLOR
	unset GITHUB_WORKSPACE GITHUB_STEP_SUMMARY CI_PROJECT_DIR
}

# equal EXPECTED GOT: says where they differ
equal() {
	[[ $1 == "$2" ]] || {
		diff -U99 --label expected --label got <(fold -s <<<"$1") <(fold -s <<<"$2")
		return 1
	}
}

# list_all [OPTION...]: `list` of all processes.  Where one of another version of the
# library runs on this machine it says so and ends with 2: that is no failure here.
list_all() {
	local status=0

	"$sockleak" list "$@" 2>"$BATS_TEST_TMPDIR/unlisted" || status=$?
	[ "$status" -eq 0 ] || { [ "$status" -eq 2 ] && [ -s "$BATS_TEST_TMPDIR/unlisted" ] &&
		! grep -v ' it has format version ' "$BATS_TEST_TMPDIR/unlisted"; }
}

needs_strace() {
	strace -o /dev/null true || skip "strace may not trace here"
}

# --- Builds with a sanitizer (SAN, as make was given it).  A test that tells nothing there
# skips itself and says why: `make check-asan` and its like show each.

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

# without_stack_notes FILE: what the runtime says of a process that leaves on a stack which
# the runtime does not know, as clone()'s child does
without_stack_notes() {
	sed -i '/^==[0-9]*==WARNING: ASan is ignoring requested __asan_handle_no_return/,/^For details/d' "$1"
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
