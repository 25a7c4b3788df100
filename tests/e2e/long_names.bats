#!/usr/bin/env bats
# Names of functions that are longer than a line, end inside a character where they are
# cut, or hold what a format cannot: as compilers of templates make them, or somebody who
# wishes us harm.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
}

# place_in NAME: a ledger of a place whose function has this name, in `ledgers`
place_in() {
	rm -rf ledgers app
	objcopy --strip-debug --redefine-sym "accept_client=$1" "$fixtures/make_ledgers" app
	mkdir ledgers
	./app leak ledgers
}

# repeated TEXT TIMES
repeated() {
	printf "%0$2d" 0 | sed "s/0/$1/g"
}

all_formats() {
	"$sockleak" report --quiet --json=json --junit=junit --sarif=sarif --tap=tap --folded=folded ledgers
	equal '[0,1]' "$(jq -c '.runs[0] | [(.results | length), (.invocations[0].toolExecutionNotifications | length)]' sarif)"
	valid_sarif sarif # of no line: the place is a notification
	xmllint --noout junit
	tap_is_sound
	iconv -f UTF-8 -t UTF-8 folded >/dev/null
}

# Each line of a frame is one string, as YAML and JSON quote them.
tap_is_sound() {
	iconv -f UTF-8 -t UTF-8 tap >/dev/null
	equal 2 "$(grep -c '^    - ' tap)"
	sed -n 's/^    - //p' tap | jq -e . >strings
	equal "${1-$(of '.leaks[0].origin[0].function' | jq -r .)}+" "$(head -1 strings | jq -r '. + "+"')"
}

@test "a name longer than any buffer is whole where the format has room, and breaks none" {
	local name
	name=$(repeated long_ 1200)
	place_in "$name"
	all_formats
	valid_report json
	xmllint --noout --schema "$top/tests/lib/junit.xsd" junit
	equal "\"$name\"" "$(of '.leaks[0].origin[0].function')"
}

@test "a name that is cut is cut between characters, at every length" {
	local first
	for first in a ab; do # an even place, and an odd one
		place_in "$first$(repeated é 2100)"
		all_formats
	done
	"$sockleak" report --write-baseline=known --quiet ledgers
	iconv -f UTF-8 -t UTF-8 known >/dev/null
}

@test "a JUnit case has the fingerprint of its place, however long its name is" {
	place_in "$(repeated long_ 400)"
	all_formats
	[[ $(xmllint --xpath 'string(//testcase/@name)' junit) =~ \ [0-9a-f]{16}:1$ ]]
	[[ $(xmllint --xpath 'string(//failure)' junit) == *" $(of '.leaks[0].id' | tr -d '"')"* ]]
}

@test "what XML cannot hold is a question mark there" {
	place_in $'a\xef\xbf\xbeb\xef\xbf\xbfc'
	all_formats
	[[ $(xmllint --xpath 'string(//testcase/@name)' junit) == 'a?b?c '* ]]
}

@test "SARIF escapes once" {
	place_in 'a\b'
	all_formats
	[[ $(jq -r '.runs[0].invocations[0].toolExecutionNotifications[0].message.text' sarif) == *'opened in a\x5cb'* ]]
}

@test "no rule is proposed for a name that no rule can hold" {
	local name
	for name in $'a\eb' $'a\nb' $'a\xc2\x9bb' $'a\xffb'; do
		place_in "$name"
		"$sockleak" report --gen-suppressions ledgers >text
		[ "$(tr -d '\n -~' <text | wc -c)" -eq 0 ] || { cat -v text; false; }
		run ! grep '^leak:\^a' text
	done
	place_in "$(repeated long_ 300)"
	"$sockleak" report --gen-suppressions ledgers | grep '^leak:^long_' >rule
	run -0 "$sockleak" report --suppressions=rule --error-exitcode=1 ledgers
}
