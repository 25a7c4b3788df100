# shellcheck shell=bash
# For tests of the command: where it is, ledgers made by hand, reports that are valid.

# shellcheck source=tests/lib/sanitizer.bash
source "${BASH_SOURCE%/*}/sanitizer.bash"
# shellcheck source=tests/lib/wait.bash
source "${BASH_SOURCE%/*}/wait.bash"

# shellcheck disable=SC2034 # for the tests that load this
command_setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	top=$PWD
	build=$(realpath "${B:-build}")
	sockleak=$build/sockleak
	fixtures=$build/tests/fixtures
	unset SOCKLEAK_OPTIONS SOCKLEAK_DEBUG_PATH DEBUGINFOD_URLS NO_COLOR
	cd "$BATS_TEST_TMPDIR" || return 1
	mkdir ledgers
}

# make_ledgers SCENARIO [DIRECTORY]
make_ledgers() {
	mkdir -p "${2:-ledgers}"
	"$fixtures/make_ledgers" "$1" "${2:-ledgers}"
}

# The JSON report of the arguments of `sockleak report`, in the file `json`, and valid.
json_of() {
	"$sockleak" report --json=json --quiet "$@" || return
	valid_report json
}

valid_report() {
	"$top/tests/lib/valid_json" "$top/tests/lib/report.schema.json" "$1"
}

# same EXPECTED GOT
same() {
	[ "$1" = "$2" ] || { printf 'expected: %s\ngot:      %s\n' "$1" "$2"; return 1; }
}

# of JQ-EXPRESSION: from the file `json`
of() {
	jq -c "$1" json
}
