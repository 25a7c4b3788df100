#!/usr/bin/env bats
# sockleak report, on ledgers made by hand.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
}

@test "a place is told with its sockets, its function, file and line, and ends in a summary" {
	make_ledgers leak
	run -0 "$sockleak" report --verbose ledgers
	[[ ${lines[0]} == "==4711==ERROR: sockleak: 3 sockets left in CLOSE_WAIT"*"oldest 8.0s" ]]
	equal "  accepted by accept():" "${lines[1]}"
	[[ ${lines[2]} == *"#0 0x"*" in accept_client "*"make_ledgers.c:"*" ("*"make_ledgers+0x"*")" ]]
	[[ ${lines[3]} == *"#1 0x"*" in serve "*"make_ledgers.c:"* ]]
	[[ $output == *"why: eof-read. 127.0.0.1:8080 <- 127.0.0.1:40005 (fd 5), and 2 more."* ]]
	[[ ${lines[-1]} == "==4711==SUMMARY: sockleak: 3 sockets leaked at 1 place; 12 opened, 8 closed;"*"1 pending" ]]
}

@test "what is pending is listed and not counted" {
	make_ledgers leak
	json_of --error-exitcode=0 ledgers
	equal '[3,1,3,1]' "$(of '[.processes[0].leaked, .processes[0].pending, .leaks[0].count, .pending[0].count]')"
	equal '[null]' "$(of '[.pending[].sockets[].verdict]')"
}

@test "a clean process gives a summary and nothing else" {
	make_ledgers clean
	run -0 "$sockleak" report --error-exitcode=1 ledgers
	equal "==4711==SUMMARY: sockleak: 0 sockets leaked at 0 places; 12 opened, 12 closed" "$output"
}

@test "the exit status is N of --error-exitcode only where a socket leaked" {
	make_ledgers leak
	run -0 "$sockleak" report ledgers
	run -1 "$sockleak" report --error-exitcode=1 ledgers
	run -77 "$sockleak" report --error-exitcode=77 ledgers
	mkdir others
	make_ledgers clean others
	run -0 "$sockleak" report --error-exitcode=1 others
}

@test "a killed process is judged by what it was told and by its age at the last look" {
	make_ledgers killed
	json_of ledgers
	equal '["unknown",1,1]' "$(of '[.processes[0].ended, .leaks[0].count, .pending[0].count]')"
	equal '[["exit",["eof-read"],5],[null,["never-read"],6]]' \
		"$(of '[(.leaks,.pending)[0].sockets[0] | [.verdict, .why, .holders[0].fd]]')"
}

@test "an origin that was not unwound before the process was killed is said to be pending" {
	make_ledgers pending_origin
	json_of --junit=junit ledgers
	# The note is one of five words; that the call was seen tells the rest.
	equal '[[2,"accept","unknown",[]],[1,"accept","unknown",[]]]' \
		"$(of '[.leaks[] | [.count, .call, .origin_note, .origin]]')"
	run -0 "$sockleak" report --verbose ledgers
	[[ ${lines[1]} == "  origin: pending, its backtrace was captured, and the process ended before it was unwound." ]]
	[[ $output == *"ERROR: sockleak: 1 socket "*$'\n'"  origin: lost, the backtrace could not be kept."* ]]
	grep -q "2 sockets left in CLOSE_WAIT, origin pending" junit
}

@test "a socket that a child holds has its opener's origin, and the opener is named" {
	make_ledgers fork_child
	json_of ledgers
	equal '[1,"accept","accept_client",null,["never-read","held-by-child"]]' \
		"$(of '.leaks[0] | [.count, .call, .origin[0].function, .origin_note, .why]')"
	equal '[{"pid":101,"fd":6}]' "$(of '[.leaks[0].sockets[0].holders[] | {pid, fd}]')"
	run -0 "$sockleak" report ledgers
	[[ $output == *"process 100, which opened it, has closed it; process 101 holds it."* ]]
}

@test "the child's ledger alone says inherited" {
	make_ledgers fork_child
	json_of ledgers/101.*
	equal '["inherited",null,[]]' "$(of '.leaks[0] | [.origin_note, .call, .origin]')"
}

@test "processes and directories are merged, and places keep their ids" {
	make_ledgers places
	json_of ledgers
	equal '[[6,"close-wait"],[4,"close-wait"],[2,"dead"]]' "$(of '[.leaks[] | [.count, .kind]]')"
	local merged
	merged=$(of '[.leaks[].id] | sort')
	json_of ledgers/21.*
	equal "$merged" "$(of '[.leaks[].id] | sort')"
	equal '[3,2,1]' "$(of '[.leaks[].count]')"
	run -0 "$sockleak" report ledgers/21.* ledgers/22.*
	[[ $output == *"in 2 processes: 21, 22"* ]]
	[[ ${lines[-1]} == "==2 processes==SUMMARY: sockleak: 12 sockets leaked at 3 places;"* ]]
}

@test "dead sockets of a peer that sent a reset have forgotten peers, and no name is made up" {
	make_ledgers places
	json_of ledgers
	equal '["CLOSE","forgotten",["reset"],"unknown",[],null]' \
		"$(of '.leaks[2] | [.sockets[0].state, .sockets[0].peer_state, .why, .origin_note, .origin, .call]')"
	equal '[null,null,null,"/srv/lib/libpool.so.1","0x77","cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"]' \
		"$(of '.leaks[1].origin[0] | [.function, .file, .line, .module, .offset, .build_id]')"
}

@test "the tests that leaked are named, with how many sockets each" {
	make_ledgers named_tests
	run -0 "$sockleak" report --verbose ledgers
	[[ $output == *"(fd 5, test login), and 2 more."* ]]
	[[ $output == *$'\n  in tests: login (2), logout (1)\n'* ]]
	run -0 "$sockleak" report ledgers
	[[ $output == *$'\n    e.g. fd 5, client '*", test login"$'\n'* ]]
	[[ $output == *$'\n    in tests: login (2), logout (1)\n'* ]]
	json_of ledgers
	equal '["login","login","logout"]' "$(of '[.leaks[0].sockets[].test]')"
	# And in every format that a viewer of tests reads.
	"$sockleak" report --quiet --junit=junit --tap=tap --sarif=sarif ledgers
	grep -q '^    in tests: login (2), logout (1)$' junit
	[[ $(xmllint --xpath 'string(//testcase/@name)' junit) == "login, logout: accept_client "* ]]
	grep -q '^not ok 1 .*, in tests: login (2), logout (1)$' tap
	equal '["login","logout"]' "$(jq -c '.runs[0].results[0].properties.tests' sarif)"
	grep -q '^  tests: \["login", "logout"\]$' tap
	[[ $(jq -r '.runs[0].results[0].message.text' sarif) == *", in tests: login (2), logout (1)" ]]
}

@test "one bad ledger among many is named, the rest is reported, and the status is 2" {
	make_ledgers leak
	echo "no ledger" >ledgers/1.2.3.sockleak
	run -2 --separate-stderr "$sockleak" report --error-exitcode=1 ledgers
	equal "sockleak: cannot read ledgers/1.2.3.sockleak: it is not a ledger of sockleak" "$stderr"
	[[ ${lines[-1]} == *"3 sockets leaked at 1 place"* ]]
}

@test "a ledger that a process is only now making, or ended while it made it, is no bad one" {
	make_ledgers leak
	local unborn whole
	whole=$(echo ledgers/*)
	unborn=ledgers/$$.$(sed 's/.*) //' /proc/$$/stat | cut -d' ' -f20).0.sockleak
	head -c 60000 /dev/zero >"$unborn"
	run -0 --separate-stderr "$sockleak" report ledgers
	equal "" "$stderr"
	mv "$unborn" ledgers/$$.1.0.sockleak # of a process that is gone
	run -0 --separate-stderr "$sockleak" report --json=json ledgers
	equal "" "$stderr"
	valid_report json
	equal '["ended-first"]' "$(of '[.unwatched[].reason]')"
	[[ ${lines[-1]} == *"; 1 process was not watched" ]]
	# The program that it became has looked at what it inherited.
	cp "$whole" ledgers/$$.1.1.sockleak
	run -0 --separate-stderr "$sockleak" report --json=json ledgers
	equal "[]" "$(of '.unwatched')"
}

@test "each kind of bad ledger gives one clear sentence and status 2" {
	make_ledgers leak
	local ledger
	ledger=$(echo ledgers/*.sockleak)
	# damage FILE-NAME OFFSET BYTES SENTENCE
	damage() {
		cp "$ledger" "$1"
		printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
		run -2 --separate-stderr "$sockleak" report "$1"
		equal "sockleak: cannot read $1: $4" "$stderr"
	}
	damage magic 0 'x' "it is not a ledger of sockleak"
	damage unborn 0 '\0\0\0\0\0\0\0\0' "its header was never completed"
	damage version 8 '\1' "it has format version 1, and this sockleak (0.1.0) reads version 5"
	damage sizes 16 '\1' "its header is damaged (sizes do not fit the version)"
	damage blocks 4096 '\11' "block 0 is damaged (kind 9)"
	head -c 40000 "$ledger" >short
	run -2 --separate-stderr "$sockleak" report short
	equal "sockleak: cannot read short: it is cut short, to 40000 of at least 81920 bytes" "$stderr"
	run -2 --separate-stderr "$sockleak" report missing
	equal "sockleak: cannot open missing: No such file or directory" "$stderr"
}

@test "hostile names reach no terminal and break no format" {
	make_ledgers hostile_names
	"$sockleak" report --verbose --color=never ledgers >text
	[ "$(tr -d '\n -~' <text | wc -c)" -eq 0 ] || { cat -v text; false; }
	json_of --junit=junit --sarif=sarif --tap=tap --folded=folded ledgers
	equal '"a \u001b[1mtest\n<b>ÿ"' "$(of '.leaks[0].sockets[0].test')"
	"$top/tests/lib/valid_json" "$top/tests/lib/sarif.schema.json" sarif
	xmllint --noout --schema "$top/tests/lib/junit.xsd" junit
	run ! grep $'\033' tap folded junit
	equal 1 "$(wc -l <folded)"
	[[ $(cat folded) =~ ^[^\;]*';accept 1'$ ]]
}

@test "a directory without a ledger is said to hold none, and is no error" {
	run -0 --separate-stderr "$sockleak" report --error-exitcode=1 ledgers
	equal "sockleak: ledgers holds no ledger (a process that made no connection leaves none)" "$stderr"
	equal "SUMMARY: sockleak: 0 sockets leaked at 0 places; 0 opened, 0 closed; no process that was watched made a connection" "$output"
}

@test "wrong usage gives one line and status 2" {
	local wrong
	for wrong in "" "--nonsense x" "--json" "--color=pink x" "--error-exitcode=300 x" "--error-exitcode=x x" "--quiet=1 x" "--junit"; do
		# shellcheck disable=SC2086 # these are words
		run -2 --separate-stderr "$sockleak" report $wrong
		equal 1 "$(wc -l <<<"$stderr")"
		[[ $stderr == "sockleak: "* ]]
	done
}

@test "help has examples, goes to standard output, and every option of it exists" {
	local subcommand option
	for subcommand in list scan symbolize; do
		equal "$("$sockleak" $subcommand --help)" "$("$sockleak" $subcommand -h)"
	done
	for subcommand in report run; do
		run -0 --separate-stderr "$sockleak" $subcommand --help
		equal "$output" "$("$sockleak" $subcommand -h)"
		[[ $output == "Usage: sockleak $subcommand "*Examples:* ]]
		equal "" "$stderr"
		[ "$(awk '{ print length }' <<<"$output" | sort -n | tail -1)" -le 90 ]
		for option in $(grep -oE '^  --[a-z-]+' <<<"$output"); do
			run --separate-stderr "$sockleak" $subcommand "$option=x" </dev/null
			[[ $stderr != *"there is no option"* ]] || { echo "$option: $stderr"; false; }
		done
	done
	run -0 "$sockleak" --help
	[[ $output == *Examples:* ]]
	run -0 "$sockleak" --version
	[[ $output == "sockleak "[0-9]* ]]
	run -2 "$sockleak" nonsense
	run -2 "$sockleak"
}

@test "color marks the first line of a place, and only where it is wanted" {
	make_ledgers leak
	[[ $("$sockleak" report --color=always ledgers | head -1) == $'\033[1;31m==4711==ERROR'*$'\033[0m' ]]
	[[ $("$sockleak" report ledgers) != *$'\033'* ]]
	[[ $(TERM=xterm script -qec "$sockleak report ledgers" /dev/null) == *$'\033'* ]]
	[[ $(NO_COLOR=1 TERM=xterm script -qec "$sockleak report ledgers" /dev/null) != *$'\033'* ]]
	[[ $(TERM=dumb script -qec "$sockleak report ledgers" /dev/null) != *$'\033'* ]]
}
