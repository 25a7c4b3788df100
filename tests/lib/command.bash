# shellcheck shell=bash
# For tests of the command: where it is, ledgers made by hand, reports that are valid.

# shellcheck source=tests/lib/common.bash
source "${BASH_SOURCE%/*}/common.bash"

command_setup() {
	common_setup
	cd "$BATS_TEST_TMPDIR" || return 1
	mkdir ledgers
}

# The same for tests of `sockleak run` on run_host.c, and on programs of the system.
# shellcheck disable=SC2034
run_setup() {
	command_setup
	sanitizer_with_library
	host=$fixtures/run_host
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

# By SARIF's schema, and by GitHub's rules.
valid_sarif() {
	"$top/tests/lib/valid_json" "$top/tests/lib/sarif.schema.json" "$1" &&
		"$top/tests/lib/github_sarif" "$1"
}

# of JQ-EXPRESSION: from the file `json`
of() {
	jq -c "$1" json
}
