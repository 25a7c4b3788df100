#!/usr/bin/env bats
# Suppressions and the baseline: of report, on ledgers made by hand, and of run.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
	make_ledgers places # 6 in accept_client, 4 in libpool.so.1, 2 unknown; 2 processes
}

# counts RULE...: of the leaks left, one number a place, by rules one a line
counts() {
	printf '%s\n' "$@" >rules
	json_of --suppressions=rules ledgers || return
	of '[.leaks[].count]'
}

@test "a rule matches function, source file or module of any frame, as LSan's do" {
	equal '[4,2]' "$(counts leak:accept_client)"
	equal '[4,2]' "$(counts 'leak:^accept_client$')"
	equal '[4,2]' "$(counts 'leak:serve')"
	equal '[4,2]' "$(counts 'leak:acc*client')"
	equal '[4,2]' "$(counts 'leak:make_ledgers.c$')"
	equal '[6,2]' "$(counts leak:libpool.so)"
	equal '[6,4,2]' "$(counts leak:no_such_function 'leak:^client')"
	equal '[2]' "$(counts leak:libpool leak:serve)"
}

@test "max=N spares N sockets of a place in each process, and only the excess counts" {
	equal '[4,4,2]' "$(counts 'leak:accept_client max=1')"
	equal '[4,2]' "$(counts 'leak:accept_client max=3')"
	equal '[4,2]' "$(counts 'leak:accept_client max=100')"
	equal '[{"rule":"leak:accept_client max=100","count":6}]' "$(of .suppressed)"
	equal '[2,2,2]' "$(counts 'leak:accept_client max=2' 'leak:libpool max=1')"
	equal '[3,3]' "$(of '[.processes[].leaked]')"
}

@test "what rules took out does not count for the exit status" {
	echo 'leak:*' >rules
	run -1 "$sockleak" report --suppressions=rules --error-exitcode=1 ledgers
	printf 'leak:accept_client\nleak:libpool\n' >rules
	"$sockleak" report --suppressions=rules --quiet --error-exitcode=1 ledgers/ && false
	mkdir one
	make_ledgers leak one
	run -0 "$sockleak" report --suppressions=rules --error-exitcode=1 one
}

@test "rules that were used are listed with their counts, unused ones with --verbose" {
	printf '# a comment\n\nleak:accept_client\nleak:nothing\n' >rules
	run -0 "$sockleak" report --suppressions=rules ledgers
	[[ $output == *$'Suppressions used:\n  sockets  rule\n        6  leak:accept_client\n'* ]]
	[[ $output != *leak:nothing* ]]
	[[ ${lines[-1]} == *"6 sockets leaked at 2 places;"*"; 6 suppressed" ]]
	run -0 "$sockleak" report --verbose --suppressions=rules ledgers
	[[ $output == *"Suppression not used: leak:nothing"* ]]
}

@test "a ready rule stands under each place, and takes out that place" {
	"$sockleak" report --gen-suppressions ledgers >text
	grep '^leak:' text >rules
	equal 'leak:^accept_client$' "$(head -1 rules)"
	json_of --suppressions=rules ledgers
	equal '[2]' "$(of '[.leaks[].count]')" # of an origin nobody knows there is no rule
}

@test "a missing or malformed file of rules gives one clear line and status 2" {
	run -2 --separate-stderr "$sockleak" report --suppressions=missing ledgers
	equal "sockleak: cannot open missing: No such file or directory" "$stderr"
	local wrong
	for wrong in accept_client leak: 'leak:x max=0' 'leak:x max=many' 'race:x'; do
		printf 'leak:good\n%s\n' "$wrong" >rules
		run -2 --separate-stderr "$sockleak" report --suppressions=rules ledgers
		equal "sockleak: rules:2: this is no rule: it must read leak:PATTERN, with max=N after it where N sockets are expected" "$stderr"
		equal "" "$output"
	done
}

@test "what a baseline names does not count, and a new place does" {
	"$sockleak" report --quiet --write-baseline=known ledgers/21.*
	equal 3 "$(grep -cE '^[0-9a-f]{16} # ' known)"
	run -0 "$sockleak" report --baseline=known --error-exitcode=1 ledgers
	[[ ${lines[-1]} == *"0 sockets leaked at 0 places;"*"; 12 suppressed" ]]
	json_of --baseline=known ledgers
	equal '[[],[{"rule":"baseline:known","count":12}]]' "$(of '[.leaks, .suppressed]')"
	grep -v accept_client known >less
	run -1 "$sockleak" report --baseline=less --error-exitcode=1 ledgers
	[[ ${lines[-1]} == *"6 sockets leaked at 1 place;"* ]]
}

@test "a baseline may be written over the one that is read" {
	"$sockleak" report --quiet --write-baseline=known ledgers
	cp known before
	run -0 "$sockleak" report --baseline=known --write-baseline=known --error-exitcode=1 ledgers
	cmp before known
}

@test "a missing or malformed baseline gives one clear line and status 2" {
	run -2 --separate-stderr "$sockleak" report --baseline=missing ledgers
	equal "sockleak: cannot open missing: No such file or directory" "$stderr"
	printf '# known\n0123456789abcdef\nnot an id\n' >known
	run -2 --separate-stderr "$sockleak" report --baseline=known ledgers
	equal "sockleak: known:3: this is no line of a baseline: it must begin with the id of a place" "$stderr"
}

@test "the same program's baseline holds in its next run, and not for another place" {
	local host=$fixtures/run_host
	run -9 "$sockleak" run --quiet --error-exitcode=9 --write-baseline=known "$host" leak 2
	run -0 "$sockleak" run --quiet --error-exitcode=9 --baseline=known "$host" leak 3
	run -9 "$sockleak" run --quiet --error-exitcode=9 --baseline=known "$host" leak 2 lose
	[ "$(grep -c . known)" -eq 2 ]
}

@test "run takes suppressions of source files" {
	local host=$fixtures/run_host
	echo 'leak:run_host.c$ max=2' >rules
	run -0 "$sockleak" run --quiet --error-exitcode=9 --suppressions=rules "$host" leak 2
	run -9 "$sockleak" run --quiet --error-exitcode=9 --suppressions=rules "$host" leak 3
}
