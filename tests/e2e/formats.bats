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
		grep -qw "$field" "$top/tools/sockleak-json.5" || { echo "$field"; return 1; }
	done
}

@test "every field of the lines of the library is in the manual page" {
	local field n=0
	for field in $(tr -d '\n' <"$top/preload/report/json_lines.c" |
		grep -oE '(field|_string)\(text,\s*"[^a-z]*[a-z_]+\\?"' | grep -oE '[a-z_]+\\?"$' | tr -d '\\"' | sort -u); do
		[[ $field != @(?|true|false|null) ]] || continue
		grep -qw "$field" "$top/tools/sockleak-json.5" || { echo "$field"; return 1; }
		n=$((n + 1))
	done
	[ "$n" -gt 40 ]
}

@test "every field of the JSON of list and scan is in the manual page" {
	local command field n=0
	for command in list scan; do
		for field in $(jq -r --arg command "$command" '.definitions | [.[$command], .[$command + "_socket"]] |
			[.. | objects | .properties? // empty | keys[]] | unique[]' "$top/tests/lib/report.schema.json"); do
			sed -n "/^\.B sockleak $command .-.-json/,/^\.SH/p; /^\.B place/,/^\.SH/p" "$top/tools/sockleak-json.5" |
				grep -qw "$field" || { echo "$command: $field"; return 1; }
			n=$((n + 1))
		done
	done
	[ "$n" -gt 40 ]
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
	for change in 'del(.unwatched)' '.leaks[0].more = 1' 'del(.leaks[0].eof)' '.leaks[0].sockets[0].state = "ESTABLISHED"' \
		'.processes[0].ended = "gone"' '.leaks[0].sockets[0].verdict = null' '.pending = .leaks' \
		'.leaks[0].origin[0].offset = 17'; do
		jq "$change" json >changed
		run -1 valid_report changed
	done
}

@test "without a file JSON takes the place of the text on standard output" {
	run -0 "$sockleak" report --json ledgers
	equal 12 "$(jq '[.leaks[].count] | add' <<<"$output")"
	run -0 --separate-stderr "$sockleak" run --json "$fixtures/run_host" leak 1
	equal 1 "$(jq '.leaks[0].count' <<<"$output")"
	equal "" "$stderr"
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
	equal 3 "$(xmllint --xpath 'count(//testcase/failure)' junit)"
	equal 3 "$(xmllint --xpath 'string(/testsuites/testsuite/@failures)' junit)"
	local names
	names=$(xmllint --xpath '//testcase/@name' junit | sort)
	[[ $names == *accept_client* ]]
	"$sockleak" report --quiet --junit=junit ledgers/22.*
	equal "$names" "$(xmllint --xpath '//testcase/@name' junit | sort)"
	[[ $(xmllint --xpath 'string(//failure)' junit) == "3 sockets left in CLOSE_WAIT, oldest "* ]]
	equal "" "$(xmllint --xpath 'string(//failure)' junit | awk 'length > 100')"
	"$sockleak" report --quiet --junit=junit clean
	xmllint --noout --schema "$top/tests/lib/junit.xsd" junit
	equal "1 0" "$(xmllint --xpath 'concat(count(//testcase), " ", count(//failure))' junit)"
}

# sarif_of ARGUMENT...: of `sockleak report`, in the file `sarif`: valid, and by GitHub's rules.
sarif_of() {
	"$sockleak" report --quiet --sarif=sarif "$@" || return
	valid_sarif sarif
}

# result JQ-EXPRESSION: of the first one
result() {
	jq -c ".runs[0].results[0] | $1" sarif
}

@test "a JUnit case has its file, and for how long it has leaked" {
	export CI_PROJECT_DIR=$top
	"$sockleak" report --quiet --junit=junit --json=json ledgers
	equal tests/fixtures/make_ledgers.c "$(xmllint --xpath 'string(//testcase[1]/@file)' junit)"
	equal 0 "$(xmllint --xpath 'count(//testcase[2]/@file)' junit)" # of no line
	equal "$(of '.leaks[0].sockets | map(.age_ms) | max / 1000')" "$(xmllint --xpath 'number(//testcase[1]/@time)' junit)"
	equal 0 "$(xmllint --xpath 'sum(//testcase/@time) - //testsuite/@time' junit)"
}

@test "a report of GitLab's Code Quality has an entry for each place that has a line" {
	export CI_PROJECT_DIR=$top
	run -0 --separate-stderr "$sockleak" report --quiet --gitlab=gitlab --sarif=sarif ledgers
	[[ $stderr == *"sockleak: --gitlab leaves out 2 places of which no line of source is known"* ]]
	"$top/tests/lib/valid_json" "$top/tests/lib/gitlab.schema.json" gitlab
	equal '[["close-wait","major","tests/fixtures/make_ledgers.c"]]' "$(jq -c '[.[] | [.check_name, .severity, .location.path]]' gitlab)"
	equal "$(result .partialFingerprints.primaryLocationLineHash)" "$(jq '.[0].fingerprint' gitlab)"
	equal "$(result '.locations[0].physicalLocation.region.startLine')" "$(jq '.[0].location.lines.begin' gitlab)"
	make_ledgers many_lines many
	"$sockleak" report --quiet --gitlab=gitlab many
	"$top/tests/lib/valid_json" "$top/tests/lib/gitlab.schema.json" gitlab
	equal '[5200,5200]' "$(jq -c '[length, ([.[].fingerprint] | unique | length)]' gitlab)"
	make_ledgers hostile_names hostile
	make_ledgers clean hostile
	"$sockleak" report --quiet --gitlab=gitlab hostile
	equal '[]' "$(jq -c . gitlab)"
}

@test "SARIF has a result for each place that has a line, at that line" {
	export GITHUB_WORKSPACE=$top
	sarif_of --json=json ledgers
	equal '["close-wait"]' "$(jq -c '[.runs[0].results[].ruleId]' sarif)"
	equal '["close-wait"]' "$(jq -c '.runs[0] as $r | [$r.results[] | $r.tool.driver.rules[.ruleIndex].id]' sarif)"
	equal "$(of '.leaks[0].id')" "$(result .properties.place)"
	equal '["physicalLocation","logicalLocations"]' "$(result '.locations[0] | keys_unsorted')"
	equal '["tests/fixtures/make_ledgers.c","%SRCROOT%"]' "$(result '.locations[0].physicalLocation.artifactLocation | [.uri, .uriBaseId]')"
	equal "\"file://$top/\"" "$(jq '.runs[0].originalUriBaseIds["%SRCROOT%"].uri' sarif)"
	local line
	line=$(sed -n '/return listener + 1/=' "$top/tests/fixtures/make_ledgers.c")
	[ $((line - $(result '.locations[0].physicalLocation.region.startLine'))) -le 3 ]
	equal '"accept_client"' "$(result '.stacks[0].frames[0].location.logicalLocations[0].fullyQualifiedName')"
	sarif_of clean
	equal '[]' "$(jq -c '.runs[0].results' sarif)"
}

@test "SARIF shows both backtraces, and links to where the program was told" {
	run -0 "$sockleak" run --quiet --sarif=sarif "$fixtures/run_host" leak 1
	valid_sarif sarif
	equal '["opened in accept_client","told in leak"]' "$(result '[.codeFlows[].threadFlows[0].locations[-1].location.message.text]')"
	equal '["in main","told in leak"]' "$(result '[.codeFlows[1].threadFlows[0].locations[0, -1].location.message.text]')"
	local id
	id=$(result '.relatedLocations[] | select(.message.text == "told in leak").id')
	[[ $(result .message.text) == *". The program was told by recv() [here]($id).\"" ]]
}

@test "a place without a line is no result of SARIF: a notification has it, and standard error" {
	run -0 --separate-stderr "$sockleak" report --quiet --sarif=sarif ledgers
	equal "sockleak: --sarif leaves out 2 places of which no line of source is known (compile with -g)" "$stderr"
	valid_sarif sarif
	equal 1 "$(jq '.runs[0].results | length' sarif)"
	equal '["without-line","without-line"]' "$(jq -c '[.runs[0].invocations[0].toolExecutionNotifications[].descriptor.id]' sarif)"
	[[ $(jq '.runs[0].invocations[0].toolExecutionNotifications[0].message.text' sarif) == '"4 sockets left in CLOSE_WAIT, opened in '*libpool* ]]
}

@test "SARIF stays within what GitHub shows of a file" {
	make_ledgers many_lines many
	sarif_of many
	equal 5000 "$(jq '.runs[0].results | length' sarif)"
	equal '"200 more places are left out"' "$(jq '.runs[0].invocations[0].toolExecutionNotifications[0].message.text' sarif)"
}

@test "GitHub's rules are kept for every kind of ledger" {
	local scenario
	for scenario in clean leak fork_child killed pending_origin python hostile_names named_tests; do
		make_ledgers "$scenario" "of_$scenario"
		sarif_of "of_$scenario" || { echo "$scenario"; return 1; }
	done
	sarif_of --sarif-category=unit ledgers
	equal '"unit/"' "$(jq '.runs[0].automationDetails.id' sarif)"
}

@test "the test of GitHub's rules sees what breaks them" {
	sarif_of ledgers
	local change
	for change in 'del(.runs[0].results[0].locations)' 'del(.runs[0].results[0].locations[0].physicalLocation)' \
		'.runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri = "/srv/a.c"' \
		'.runs[0].results[0].partialFingerprints = {}' '.runs[0].results[0].message.text = "told [here](9)"' \
		'.runs[0].results += .runs[0].results' 'del(.runs[0].tool.driver.rules[0].fullDescription)' \
		'.runs[0].tool.driver.rules[0].properties.tags = [range(11) | tostring]' '.runs[0].automationDetails.id = "unit"' \
		'.runs = [range(21) as $i | .runs[0]]' '.runs[0].results[0].relatedLocations = [range(100) as $i | .runs[0].results[0].locations[0] + {id: $i}]'; do
		jq "$change" sarif >changed
		run -1 "$top/tests/lib/github_sarif" changed
		[ -n "$output" ] || { echo "$change"; return 1; }
	done
}

# compile_host DIRECTORY FLAG...: what is in src/ there
compile_host() {
	(cd "$1" && gcc -g -I"$top/preload" "${@:2}" -o host src/host.c)
}

# fingerprints DIRECTORY: of the results of a run there, by line
fingerprints() {
	(cd "$1" && "$sockleak" run --quiet --sarif=sarif --json=json -- ./host leak 2 lose &&
		valid_sarif sarif && jq -c '[.runs[0].results | sort_by(.partialFingerprints[])[].partialFingerprints]' sarif)
}

@test "a rebuild elsewhere, with other code and other lines, opens no new alert" {
	sanitizer_with_library
	mkdir -p one/src
	cp "$top/tests/fixtures/run_host.c" one/src/host.c
	compile_host one -O1
	mkdir -p two/src
	sed '1i /* one more line */' one/src/host.c >two/src/host.c
	compile_host two -O1 -fstack-protector-all
	local first
	first=$(fingerprints one)
	equal 2 "$(jq length <<<"$first")"
	equal "$first" "$(fingerprints two)"
	[ "$(jq -c '[.leaks[].id] | sort' one/json)" != "$(jq -c '[.leaks[].id] | sort' two/json)" ]
}

@test "TAP is taken by prove: a place is a test that failed, no place one that passed" {
	"$sockleak" report --tap=tap.t --quiet ledgers
	run -1 prove -e cat tap.t
	[[ $output == *"Failed tests:  1-3"* ]]
	equal "1..3" "$(sed -n 2p tap.t)"
	"$sockleak" report --tap=tap.t --quiet clean
	run -0 prove -e cat tap.t
	[[ $output == *"Tests=1,"* ]]
}

@test "folded stacks have the root first and sockets as their weight" {
	run -0 "$sockleak" report --folded ledgers
	equal "serve;accept_client;accept 6" "${lines[0]}"
	equal "libpool.so.1+0x77;accept 4" "${lines[1]}"
	equal "[unknown] 2" "${lines[2]}"
	equal 3 "${#lines[@]}"
}

@test "a file that cannot be written is named, and the status says so" {
	run -2 --separate-stderr "$sockleak" report --json=/no/where ledgers
	equal "sockleak: cannot open /no/where: No such file or directory" "$stderr"
	run -2 --separate-stderr "$sockleak" report --quiet --json=/dev/full ledgers
	equal "sockleak: cannot write /dev/full: No space left on device" "$stderr"
	run -2 --separate-stderr bash -c "'$sockleak' report ledgers >/dev/full"
	[[ $stderr == "sockleak: cannot write "* ]]
}
