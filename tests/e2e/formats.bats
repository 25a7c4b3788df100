#!/usr/bin/env bats
# The formats of report and run, each checked by somebody else's reader.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
	make_ledgers places
	make_ledgers clean clean
}

@test "every field of the JSON report is in the manual page" {
	local field
	for field in $(jq -r '[.. | objects | .properties? // empty | keys[]] | unique[]' \
		"$top/tests/lib/report.schema.json"); do
		sed -n '/^\.SH JSON/,/^\.SH EXIT/p' "$top/tools/sockleak.1" | grep -qw "$field" ||
			{ echo "$field"; return 1; }
	done
}

@test "JSON of every kind of ledger is valid by the schema" {
	local scenario
	for scenario in clean leak fork_child killed places hostile_names; do
		rm -rf here
		make_ledgers "$scenario" here
		json_of here || { echo "$scenario"; return 1; }
	done
	mkdir empty
	json_of empty
}

@test "the schema refuses what the contract does not have" {
	json_of ledgers
	local change
	for change in '.leaks[0].more = 1' 'del(.leaks[0].eof)' '.leaks[0].sockets[0].state = "ESTABLISHED"' \
		'.processes[0].ended = "gone"' '.leaks[0].sockets[0].verdict = null' '.pending = .leaks' \
		'.leaks[0].origin[0].offset = 17'; do
		jq "$change" json >changed
		run -1 valid_report changed
	done
}

@test "without a file JSON takes the place of the text on standard output" {
	run -0 "$sockleak" report --json ledgers
	same 12 "$(jq '[.leaks[].count] | add' <<<"$output")"
	run -0 --separate-stderr "$sockleak" run --json "$fixtures/run_host" leak 1
	same 1 "$(jq '.leaks[0].count' <<<"$output")"
	same "" "$stderr"
	run -0 --separate-stderr "$sockleak" run --json=json "$fixtures/run_host" leak 1
	[[ $stderr == *"SUMMARY: sockleak: 1 socket leaked"* ]]
}

@test "several formats are written in one run" {
	"$sockleak" report --json=json --junit=junit --sarif=sarif --folded=folded --tap=tap --quiet ledgers
	[ -s json ] && [ -s junit ] && [ -s sarif ] && [ -s folded ] && [ -s tap ]
}

@test "JUnit is valid, with a failed case for each place, named the same in each run" {
	"$sockleak" report --quiet --junit=junit ledgers
	xmllint --noout --schema "$top/tests/lib/junit.xsd" junit
	same 3 "$(xmllint --xpath 'count(//testcase/failure)' junit)"
	same 3 "$(xmllint --xpath 'string(/testsuites/testsuite/@failures)' junit)"
	local names
	names=$(xmllint --xpath '//testcase/@name' junit | sort)
	[[ $names == *accept_client* ]]
	"$sockleak" report --quiet --junit=junit ledgers/22.*
	same "$names" "$(xmllint --xpath '//testcase/@name' junit | sort)"
	[[ $(xmllint --xpath 'string(//failure)' junit) == *"==ERROR: sockleak: 3 sockets left in CLOSE_WAIT"* ]]
	"$sockleak" report --quiet --junit=junit clean
	xmllint --noout --schema "$top/tests/lib/junit.xsd" junit
	same "1 0" "$(xmllint --xpath 'concat(count(//testcase), " ", count(//failure))' junit)"
}

@test "SARIF has its required parts, a location that can be annotated, and the id of the place" {
	cd "$top"
	"$sockleak" report --quiet --sarif="$BATS_TEST_TMPDIR/sarif" --json="$BATS_TEST_TMPDIR/json" "$BATS_TEST_TMPDIR/ledgers"
	cd "$BATS_TEST_TMPDIR"
	"$top/tests/lib/valid_json" "$top/tests/lib/sarif.schema.json" sarif
	same "$(of '[.leaks[].id]')" "$(jq -c '[.runs[0].results[].partialFingerprints["sockleakPlace/v1"]]' sarif)"
	same '["close-wait","close-wait","dead"]' "$(jq -c '[.runs[0].results[].ruleId]' sarif)"
	same '["close-wait","close-wait","dead"]' \
		"$(jq -c '.runs[0] as $r | [$r.results[] | $r.tool.driver.rules[.ruleIndex].id]' sarif)"
	jq -e '.runs[0].results[0].locations[0].physicalLocation | (.artifactLocation.uri | test("tests/fixtures/make_ledgers.c$")) and .region.startLine > 1' sarif
	same '"accept_client"' "$(jq '.runs[0].results[0].stacks[0].frames[0].location.logicalLocations[0].fullyQualifiedName' sarif)"
	"$sockleak" report --quiet --sarif=sarif clean
	"$top/tests/lib/valid_json" "$top/tests/lib/sarif.schema.json" sarif
	same '[]' "$(jq -c '.runs[0].results' sarif)"
}

@test "TAP is taken by prove: a place is a test that failed, no place one that passed" {
	"$sockleak" report --tap=tap.t --quiet ledgers
	run -1 prove -e cat tap.t
	[[ $output == *"Failed tests:  1-3"* ]]
	same "1..3" "$(sed -n 2p tap.t)"
	"$sockleak" report --tap=tap.t --quiet clean
	run -0 prove -e cat tap.t
	[[ $output == *"Tests=1,"* ]]
}

@test "folded stacks have the root first and sockets as their weight" {
	run -0 "$sockleak" report --folded ledgers
	same "serve;accept_client;accept 6" "${lines[0]}"
	same "libpool.so.1+0x77;accept 4" "${lines[1]}"
	same "[unknown] 2" "${lines[2]}"
	same 3 "${#lines[@]}"
}

@test "a file that cannot be written is named, and the status says so" {
	run -2 --separate-stderr "$sockleak" report --json=/no/where ledgers
	same "sockleak: cannot open /no/where: No such file or directory" "$stderr"
	run -2 --separate-stderr "$sockleak" report --quiet --json=/dev/full ledgers
	same "sockleak: cannot write /dev/full: No space left on device" "$stderr"
	run -2 --separate-stderr bash -c "'$sockleak' report ledgers >/dev/full"
	[[ $stderr == "sockleak: cannot write "* ]]
}
