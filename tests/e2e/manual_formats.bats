#!/usr/bin/env bats
# What sockleak-formats(5) shows of each format is what happens.

bats_require_minimum_version 1.5.0
load ../lib/report

setup() {
	common_setup
	without_runtime "what it shows is of plain programs"
	page=tools/sockleak-formats.5
	made=$BATS_TEST_TMPDIR
	export PATH=$build:$build/examples:$PATH LC_ALL=C.UTF-8
	export PYTHONPATH=examples/suites/pytest PYTHONDONTWRITEBYTECODE=1 PYTEST_ADDOPTS="-p no:cacheprovider"
}

# section NAME: the lines of the examples in it, as a reader sees them
section() {
	sed -n "/^\.SH $1\$/,/^\.SH /p" "$page" | sed -n '/^\.EX$/,/^\.EE$/p' | sed -E '/^\.E[XE]$/d; s/^\\&//; s/\\-/-/g; s/\\\(aq/'\''/g; s/\\e/\\/g'
}

# Hashes of what was built, times and paths, beside what every report has.
normalise() {
	sed -E -e 's/[0-9a-f]{16}/HASH/g' -e 's/time="[0-9.]+"/time="AGE"/g' -e 's/oldest_ms: [0-9]+/oldest_ms: AGE/' \
		-e 's/\| [0-9.]+m?s \|/| AGE |/' -e 's/[0-9]+ frames/N frames/' -e 's# at /[^ ]*/examples/# at examples/#' | normalise_report
}

# commands: those of a section.  The files they name lie in a directory of the test, and
# Python is the system's, which has pytest.
commands() {
	sed -E "/^[$] /!d; s/^[$] //; s#(^|[ =])(ledgers|(leaks|summary|gl-code)[a-z.-]*)#\1$made/\2#g; s#-- python3#-- /usr/bin/python3#"
}

# happens SECTION: its commands give what stands below them.
happens() {
	rm -rf "$made/ledgers"
	section DESCRIPTION | commands >"$made/commands"
	section "$1" | commands >>"$made/commands"
	[ "$(wc -l <"$made/commands")" -ge 2 ]
	bash "$made/commands" >"$made/actual" 2>&1
	section "$1" | grep -v '^[$] ' >"$made/expected"
	[ -s "$made/expected" ]
	equal "$(normalise <"$made/expected")" "$(normalise <"$made/actual")"
}

@test "the text, and JSON" {
	happens TEXT
	happens JSON
}

@test "SARIF, GitHub's commands and summary, GitLab's Code Quality" {
	happens SARIF
	happens GITHUB
	happens GITLAB
}

@test "JUnit and TAP" {
	happens JUNIT
	happens TAP
}

@test "folded stacks and metrics" {
	happens "FOLDED STACKS"
	happens PROMETHEUS
}

@test "a test suite" {
	happens "TEST SUITES"
}

@test "every format of the command has a section" {
	local format
	"$sockleak" report --help | sed -nE 's/^  --(json|html|junit|sarif|gitlab|prometheus|github|folded|tap).*/\1/p' | sort -u >"$made/formats"
	[ "$(wc -l <"$made/formats")" = 9 ]
	while read -r format; do
		grep -qiE "^\.SH $format( STACKS)?\$" "$page" || { echo "$format"; return 1; }
	done <"$made/formats"
	# The sections with a command are those of the tests above.
	[ "$(grep -c '^\.EX$' "$page")" = 11 ]
}
