# shellcheck shell=bash
# The same program bare and preloaded: what differs is our fault.

# shellcheck source=tests/lib/common.bash
source "${BASH_SOURCE%/*}/common.bash"

# shellcheck disable=SC2034 # the tests use them
guest_setup() {
	common_setup
	preloads=$(sanitizer_first)$library
	sanitizer_options
}

# preloaded OPTIONS PROGRAM [ARGUMENT...]
preloaded() {
	exec env LD_PRELOAD="$preloads" SOCKLEAK_OPTIONS="$1" "${@:2}"
}

# same OPTIONS PROGRAM [ARGUMENT...]: bare and preloaded it prints the same (standard
# output and error) and ends with the same status, which is none of a failed fixture's
same() {
	local bare=0 other=0

	(exec "${@:2}") >"$BATS_TEST_TMPDIR/bare" 2>&1 </dev/null || bare=$?
	(preloaded "$@") >"$BATS_TEST_TMPDIR/preloaded" 2>&1 </dev/null || other=$?
	without_stack_notes "$BATS_TEST_TMPDIR/bare"
	without_stack_notes "$BATS_TEST_TMPDIR/preloaded"
	if ! diff "$BATS_TEST_TMPDIR/bare" "$BATS_TEST_TMPDIR/preloaded" ||
		[ "$bare" != "$other" ] || [[ $bare == @(1|9[0-9]|134|135|139|142) ]]; then
		echo "${*:2}: differs with $1: status $bare, $other"
		return 1
	fi
}

# same_both PROGRAM [ARGUMENT...]: with the helper thread and without
same_both() {
	same interval=20ms "$@" && same thread=no:interval=20ms "$@"
}

# same_with_ledger OPTIONS PROGRAM [ARGUMENT...]: the same, with a ledger for its questions
same_with_ledger() {
	local ledger=$BATS_TEST_TMPDIR/ledger

	rm -rf "$ledger"
	mkdir -m 700 "$ledger"
	GUEST_LEDGER=$ledger same "log=none:ledger=$ledger:$1" "${@:2}"
}

# same_both_with_ledger OPTIONS PROGRAM [ARGUMENT...]: with the helper thread and without
same_both_with_ledger() {
	same_with_ledger "$1" "${@:2}" && same_with_ledger "$1:thread=no" "${@:2}"
}

# same_cases FIXTURE OPTIONS: every case it lists
same_cases() {
	local name differ=0

	for name in $("$1"); do
		# The thread sanitizer's runtime asks for the loader's lock in a child that no
		# handler of fork() announced: another thread may have had it.
		[[ $SAN != *thread* || ! $name =~ ^(_Fork|(__)?(vfork|clone))$ ]] || continue
		same_with_ledger "$2" "$1" "$name" || differ=1
	done
	return $differ
}

# on_a_full_pipe COMMAND...: its standard error is a pipe that nobody reads; prints its
# status
on_a_full_pipe() {
	python3 - "$@" <<-'PY'
		import os, subprocess, sys
		r, w = os.pipe()
		os.set_blocking(w, False)
		try:
		    while os.write(w, b"x" * 4096): pass
		except BlockingIOError: pass
		os.set_blocking(w, True)
		print(subprocess.run(sys.argv[1:], stderr=w, timeout=300).returncode)
	PY
}
