#!/usr/bin/env bats
# --github: annotations, read as the runner of GitHub Actions reads them, and the summary of
# a step, rendered by GitHub's own Markdown.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
	export GITHUB_STEP_SUMMARY=$PWD/summary.md
}

# annotations OF-REPORT...: as JSON in the file `commands`; the rest is in `output`
annotations() {
	run -0 --separate-stderr "$sockleak" report --github "$@"
	"$top/tests/lib/workflow_commands" <<<"$stderr" >commands
}

# commands JQ-EXPRESSION
commands() {
	jq -c "$1" commands
}

# cells XPATH: of the summary as HTML
cells() {
	cmark-gfm -e table --unsafe summary.md >summary.html
	{ echo '<div>' && cat summary.html && echo '</div>'; } | xmllint --html --xpath "$1" - 2>/dev/null
}

@test "a place is an error at its line, with what a person needs to mend it" {
	make_ledgers named_tests
	export GITHUB_WORKSPACE=$top
	annotations ledgers
	equal 1 "$(commands length)"
	equal '["error","tests/fixtures/make_ledgers.c","sockleak: 3 sockets leaked in accept_client"]' \
		"$(commands '.[0] | [.command, .properties.file, .properties.title]')"
	[ "$(commands '.[0].properties.line | tonumber')" -gt 1 ]
	local text
	text=$(jq -r '.[0].text' commands)
	[[ $text == "3 sockets left in CLOSE_WAIT, oldest "* ]]
	[[ $text == *$'\n    accepted by '*$'() in\n      accept_client '* ]]
	[[ $text == *"in tests: login (2), logout (1)" ]]
	# The text stays where it was.
	[[ $output == *"SUMMARY: sockleak: 3 sockets leaked"* ]]
}

@test "a place without a line is an error without a file" {
	make_ledgers places
	annotations ledgers
	equal '[["file","line","title"],["title"],["title"]]' "$(commands '[.[].properties | keys_unsorted]')"
}

@test "the nine largest places have an error each, and one counts the others" {
	make_ledgers marked_names
	annotations ledgers
	equal 10 "$(commands length)"
	equal '"1 2 3 4 5 6 7 8 9 "' "$(commands '[.[].properties.line] | join(" ")')"
	equal '"sockleak: 6 more sockets leaked at 3 more places"' "$(commands '.[9].properties.title')"
	# Ten have one each.
	echo 'leak:/srv/a,b:%25_11' >rules
	echo 'leak:/srv/a,b:%25_10' >>rules
	annotations --suppressions=rules ledgers
	equal '["10",10]' "$(commands '[.[9].properties.line, length]')"
}

@test "names come through the command as they are" {
	make_ledgers marked_names
	annotations ledgers
	equal '"/srv/a,b:%25_0|.py"' "$(commands '.[0].properties.file')"
	equal '"sockleak: 12 sockets leaked in f|0::*[x](y)`<b>%0A"' "$(commands '.[0].properties.title')"
	[[ $(jq -r '.[0].text' commands) == *"f|0::*[x](y)\`<b>%0A"* ]]
	make_ledgers hostile_names hostile
	annotations hostile
	equal 1 "$(commands length)"
	run ! grep -q $'\e' <<<"$stderr"
}

@test "what was not watched is a warning, and no leak no annotation" {
	make_ledgers clean
	annotations ledgers
	equal '[]' "$(commands .)"
	echo "no ledger" >ledgers/1.2.3.sockleak
	run -2 --separate-stderr "$sockleak" report --github ledgers
	[[ $stderr == *$'\n::warning title=sockleak::a ledger could not be read' ]]
}

@test "run writes annotations after the text, and JSON on standard output stays whole" {
	run -0 --separate-stderr "$sockleak" run --github --json=- "$fixtures/run_host" leak 1
	jq -e '.leaks | length == 1' <<<"$output"
	[[ $stderr == "::error file="* ]]
	run -0 --separate-stderr "$sockleak" run --github "$fixtures/run_host" leak 1
	[[ $stderr == *"SUMMARY: sockleak: "*$'\n::error file='* ]]
}

@test "the summary is a table, in which names are what they are" {
	make_ledgers marked_names
	annotations ledgers
	equal 12 "$(cells 'count(//tbody/tr)')"
	equal '12|f|0::*[x](y)`<b>%0A|/srv/a,b:%25_0|.py:1' \
		"$(cells 'concat(//tbody/tr[1]/td[1], "|", //tbody/tr[1]/td[4], "|", //tbody/tr[1]/td[5])')"
	equal 0 "$(cells 'count(//td//a | //td//b | //td//em)')"
	equal "sockleak: 78 sockets leaked at 12 places" "$(cells 'string(//h3)')"
}

@test "the summary is appended, and keeps to what GitHub takes" {
	make_ledgers marked_names
	echo '# Tests' >summary.md
	annotations ledgers
	annotations ledgers
	equal '1 2' "$(cells 'concat(count(//h1), " ", count(//h3))')"
	# Room for some rows.
	truncate -s $((1024 * 1024 - 1000)) summary.md
	annotations ledgers
	[ "$(stat -c %s summary.md)" -le $((1024 * 1024)) ]
	tail -c 400 summary.md | grep -E '^and [0-9]+ more places$'
	truncate -s $((1024 * 1024)) summary.md
	annotations ledgers
	equal $((1024 * 1024)) "$(stat -c %s summary.md)"
}

@test "a summary without leaks says so, and one that cannot be written is an error" {
	make_ledgers clean
	annotations ledgers
	equal "sockleak: no socket leaked" "$(cells 'string(//h3)')"
	export GITHUB_STEP_SUMMARY=/no/where
	run -2 --separate-stderr "$sockleak" report --github ledgers
	equal "sockleak: cannot open /no/where: No such file or directory" "$stderr"
	unset GITHUB_STEP_SUMMARY
	run -0 "$sockleak" report --github ledgers
}
