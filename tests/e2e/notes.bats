#!/usr/bin/env bats
# Programs that say in their own words where a socket comes from (sockleak_note()): what
# every format makes of it, here and in the library.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	run_setup
	host=$fixtures/host_notes
}

teardown() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || true
}

# watched CASE [OPTION]...: run by the command; its report in the file `json`
watched() {
	local case=$1
	shift
	"$sockleak" run --quiet --json=json "$@" -- "$host" "$case" || return
	valid_report json
}

# notes_of FILE: each place's count and notes
notes_of() {
	jq -c '[.leaks[] | [.count, ([.origin[] | select(.language == "note").function] | join(" / "))]] | sort' "$1"
}

# alone OPTIONS CASE: without the command; what it prints in the file `errors`
alone() {
	SOCKLEAK_OPTIONS=$1 LD_PRELOAD=$(sanitizer_first)$library "$host" "$2" >out 2>errors
}

# places_alone: the same of JSON lines of the library
places_alone() {
	jq -cs '[.[] | select(.event == "leak") | [.count, ([.origin[] | select(.language == "note").function] | join(" / "))]] | sort' errors
}

three_places='[[1,""],[1,"checkout of the pool / by request 18"],[2,"checkout of the pool / by request 17"]]'

@test "sockets that one line opened are told apart by their notes" {
	watched places
	equal "$three_places" "$(notes_of json)"
	equal 3 "$(of '[.leaks[].id] | unique | length')"
	equal 'true' "$(of 'all(.leaks[].origin[]; .language == null or (.language == "note" and .module == null and .offset == null and .line == null))')"
	equal 'true' "$(of 'all(.leaks[]; any(.origin[]; .function == "left_open"))')"
	equal '[null]' "$(of '[.leaks[].origin_note] | unique')"
}

@test "the same without the command, in each format and without the helper thread" {
	local thread
	for thread in yes no; do
		alone format=json:thread=$thread places
		equal "$three_places" "$(places_alone)"
		alone thread=$thread places
		equal 1 "$(grep -c '^    #1 note: by request 18$' errors)"
		equal 2 "$(grep -c '^    #0 note: checkout of the pool$' errors)"
		grep -q '^    #2 0x[0-9a-f]* in left_open+' errors
		grep -q 'SUMMARY: sockleak: 4 sockets leaked at 3 places' errors
	done
}

@test "a place has one id in the library's lines and in the command's report" {
	watched places
	alone format=json places
	equal "$(of '[.leaks[].id] | sort')" \
		"$(jq -cs '[.[] | select(.event == "leak").id] | sort' errors)"
}

@test "a later note takes the place of an earlier one" {
	watched again
	equal '[[2,"the third"]]' "$(notes_of json)"
	alone format=json:thread=no again
	jq -es 'map(select(.event == "leak")) | .[-1].count == 2 and .[-1].origin[0].function == "the third"' errors
	equal 0 "$(grep -c '"the second".*"the third"' errors)"
}

@test "a note that is taken away leaves the origin as it was" {
	watched taken-away
	equal '[[3,""]]' "$(notes_of json)"
}

@test "a note is kept with the socket, whichever of its descriptors it was said of" {
	watched duplicate
	equal '[[1,"said of the copy"]]' "$(notes_of json)"
	equal 2 "$(of '.leaks[0].sockets[0].holders | length')"
}

@test "what is no socket is told by errno" {
	watched no-socket
	equal '[[1,"a socket"]]' "$(notes_of json)"
	"$host" no-socket # and nothing is without the library
}

@test "with more notes than are kept the first ones stand" {
	watched too-many
	equal '[[1,""],[1,"line 17"]]' "$(notes_of json)"
}

@test "threads that note at the same time get each its own" {
	watched threads
	equal 40 "$(of '[.leaks[].count] | add')"
	equal '[[5,"thread 0 / number 2"],[5,"thread 0 / number 7"],[5,"thread 1 / number 2"],[5,"thread 1 / number 7"],[5,"thread 2 / number 2"],[5,"thread 2 / number 7"],[5,"thread 3 / number 2"],[5,"thread 3 / number 7"]]' "$(notes_of json)"
}

@test "notes that wait for the exit wait once for each place" {
	alone format=json:thread=no waiting
	equal '[[1,"the last"]]' "$(places_alone)"
	equal '[0,0]' "$(jq -c 'select(.event == "summary") | [.missed, .dropped]' errors)"
}

@test "a child's socket has the note of before the fork, and its own" {
	watched forked
	equal '[[1,"before the fork"],[1,"in the child"]]' "$(notes_of json)"
}

@test "ledgers of two processes make one place of one note" {
	mkdir kept
	watched places --ledger=kept
	watched places --ledger=kept
	json_of kept
	equal '[[2,""],[2,"checkout of the pool / by request 18"],[4,"checkout of the pool / by request 17"]]' "$(notes_of json)"
}

@test "JUnit, SARIF, TAP and folded stacks show the notes" {
	watched places --junit=junit --sarif=sarif --tap=tap --folded=folded
	xmllint --noout --schema "$top/tests/lib/junit.xsd" junit
	grep -q '^      note: by request 18$' junit
	xmllint --xpath 'string(//failure/@message)' junit | grep -q 'opened in checkout of the pool'
	"$top/tests/lib/valid_json" "$top/tests/lib/sarif.schema.json" sarif
	equal 3 "$(jq '[.runs[].results[].stacks[0].frames[] | .location.logicalLocations[]? | select(.fullyQualifiedName == "checkout of the pool" or .fullyQualifiedName == "by request 18")] | length' sarif)"
	grep -q '^    - "by request 18"$' tap
	grep -q ';by request 17;checkout of the pool;accept4 2$' folded
}

@test "suppressions match notes, in the library too" {
	echo 'leak:^by request 17$' >rules
	watched places --suppressions=rules
	equal '[[1,""],[1,"checkout of the pool / by request 18"]]' "$(notes_of json)"
	alone format=json:suppressions=rules places
	equal '[[1,""],[1,"checkout of the pool / by request 18"]]' "$(places_alone)"
	"$sockleak" run --gen-suppressions -- "$host" places 2>text
	grep -q '^leak:^checkout of the pool\$$' text
}

@test "a baseline knows a place by its note" {
	watched places --write-baseline=known
	watched again --baseline=known
	equal '[[2,"the third"]]' "$(notes_of json)"
	watched places --baseline=known
	equal '[]' "$(notes_of json)"
}

@test "list shows the note of a running process, and symbolize leaves it alone" {
	mkfifo stdin
	SOCKLEAK_OPTIONS=grace=100ms:interval=20ms:ledger=$PWD/ledgers \
		LD_PRELOAD=$(sanitizer_first)$library "$host" stays <stdin >out 2>errors 3>&- &
	pid=$!
	exec 5>stdin
	wait_until 60 has_listed
	equal '"note"' "$(jq -c '.processes[0].sockets[] | select(.origin.language).origin.language' json)"
	"$sockleak" list --verbose "$pid" | grep -q 'opened .* ago by accept4 in a note to list'
	exec 5>&-
	wait "$pid"
	pid=
	"$sockleak" symbolize errors >named
	grep -q '^    #0 note: a note to list$' named
	grep -q '^    #1 0x[0-9a-f]* in peer_accept .*peer.h:.*inlined' named
}

# The note is in the ledger.
has_listed() {
	"$sockleak" list --json=json "$pid" >text && valid_report json &&
		jq -e '[.processes[].sockets[].origin | select(. != null) | .function] | index("a note to list")' json >indexed
}
