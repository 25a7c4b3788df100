#!/usr/bin/env bats
# A socket that its opener has closed and another process holds, which inherited or
# received it and makes no connection of its own: it is the opener's leak, by its backtrace,
# and the holder is named.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
	host=$fixtures/host_inherited
	holder=
	export TMPDIR=$BATS_TEST_TMPDIR # where a run leaves the ledgers of what outlives it
}

teardown() {
	touch end
	[ -z "$holder" ] || kill "$holder" 2>/dev/null || true
	wait || true
}

# runs WAY [END]: under sockleak run, its report in `json` and `err`
runs() {
	rm -f out json
	"$sockleak" run --json=json --grace="${grace:-100}ms" -O interval=20ms -- "$host" "$@" >out 2>err 3>&- &
	runner=$!
	wait_until 60 grep -qs holder out
	holder=$(awk '{ print $2 }' out)
}

# has_gone_quiet: the holder's socket has stood in CLOSE_WAIT for longer than grace
has_gone_quiet() {
	"$sockleak" scan --json --grace=100ms | jq -e --argjson pid "$holder" \
		'[.sockets[] | select(.leak and any(.holders[]; .pid == $pid))] | length == 1'
}

# ends: the host ends, while the holder lives on
ends() {
	touch end
	wait "$runner"
	valid_report json
}

# held_by PROGRAM: one leak, by the opener's backtrace, held by the holder
held_by() {
	jq -e --argjson pid "$holder" --arg program "$1" '(.leaks | length == 1) and (.leaks[0]
		| .count == 1 and .kind == "close-wait" and (.why | index("held-by-child") != null)
		and .call == "accept4" and .origin[0].function == "accept_client"
		and (.sockets[0].holders | any(.pid == $pid and .program == $program)))' json || {
		cat json err
		return 1
	}
}

@test "run names who holds a socket that its opener has closed, and that lives on" {
	local way

	for way in fork exec bash; do
		rm -f end
		runs "$way" end
		wait_until 60 has_gone_quiet
		ends
		case $way in
		fork) held_by host_inherited ;;
		exec) held_by sleep ;;
		bash) held_by bash ;;
		esac
		grep -qE '^\[1\] 1 socket left in CLOSE_WAIT by another process for ' err
		grep -qE "fd [0-9]+ of process $holder" err
		run ! grep WARNING err
		kill "$holder"
		holder=
	done
}

@test "run names the holder of a socket that its opener left behind when it ended" {
	grace=60000 runs left
	wait "$runner"
	equal 0 "$(of '.leaks | length')"
	kill "$holder"
	rm json out
	runs left end
	wait_until 60 has_gone_quiet
	ends
	equal '["close-wait"]' "$(of '[.leaks[].kind]')"
}

@test "report names the holder, as long as it holds, and nobody else" {
	runs_with_ledger thread=no:at_exit=none exec end # it says nothing itself
	wait_until 60 has_gone_quiet
	touch end
	wait "$runner"
	reports_it
	kill "$holder"
	wait_until 60 eval '! has_gone_quiet'
	holder=
	json_of ledgers
	equal '[0,0]' "$(of '[.leaks, .pending | length]')"
}

@test "report names the holder while the opener runs" {
	runs_with_ledger thread=yes exec end
	wait_until 60 reports_it
}

# runs_with_ledger OPTIONS WAY END: plain preload, with a ledger
runs_with_ledger() {
	LD_PRELOAD=$(sanitizer_first)$build/libsockleak.so \
		SOCKLEAK_OPTIONS=$1:log=none:grace=100ms:interval=20ms:ledger=$PWD/ledgers \
		"$host" "${@:2}" >out 2>err 3>&- &
	runner=$!
	wait_until 60 grep -qs holder out
	holder=$(awk '{ print $2 }' out)
}

# reports_it: what `report` says of the ledgers now
reports_it() {
	json_of ledgers && held_by sleep
}

# has_lived: the holder has served its client for longer than grace
has_lived() {
	[ "$(($(date +%s%N) / 1000000 - begun))" -gt $((grace + 100)) ]
}

@test "a child that serves its client is no leak, nor one whose socket exec has closed" {
	# On a busy machine the child may not send for some time, nor the run report at once.
	local way grace=1500

	for way in alive sends cloexec; do
		rm -f end
		runs "$way" end
		begun=$(($(date +%s%N) / 1000000))
		wait_until 60 has_lived
		ends
		[ "$(of '.leaks | length')" = 0 ] || { echo "$way"; cat err; false; }
		kill "$holder"
		holder=
	done
}

# preloaded OPTIONS WAY [END]: alone, its log in `err`
preloaded() {
	rm -f out
	LD_PRELOAD=$(sanitizer_first)$build/libsockleak.so SOCKLEAK_OPTIONS="grace=100ms:interval=20ms:$1" \
		"$host" "${@:2}" >out 2>err 3>&- &
	runner=$!
	wait_until 60 grep -qs holder out
	holder=$(awk '{ print $2 }' out)
}

@test "the opener's log names the holder while it runs, and its exit status counts it" {
	local way

	for way in fork exec bash pass; do
		rm -f end
		preloaded exitcode=9 "$way" end
		wait_until 60 grep -qE "\(fd [0-9]+ of process $holder \(" err
		touch end
		ended_with 9 "$runner"
		equal 1 "$(grep -c '^==[0-9]*==ERROR: sockleak: 1 socket left in CLOSE_WAIT by another process' err)"
		grep -q ' in accept_client+' err
		grep -q 'SUMMARY: sockleak: 1 socket leaked at 1 place' err
		kill "$holder"
		holder=
	done
}

@test "a leak that its opener closes while another process holds it is one leak" {
	preloaded exitcode=9 late end
	wait_until 60 grep -q "ERROR: sockleak: 1 socket left in CLOSE_WAIT by its owner" err
	touch end
	ended_with 9 "$runner"
	grep -q "(fd [0-9]* of process $holder (sleep))" err
	grep -q "SUMMARY: sockleak: 1 socket leaked at 1 place; .* dropped$" err
}

@test "without the helper thread the opener's log names the holder at its end" {
	preloaded exitcode=9:thread=no exec end
	wait_until 60 has_gone_quiet
	touch end
	ended_with 9 "$runner"
	grep -q 'ERROR: sockleak: 1 socket left in CLOSE_WAIT by another process' err
	grep -qE "\(fd [0-9]+ of process $holder \(sleep\)\)" err
}

@test "as JSON lines the log names the holder, and who closes it late" {
	preloaded format=json closes end
	wait_until 60 grep -q '"event":"leak"' err
	jq -e --argjson pid "$holder" 'select(.event == "leak") | .why == ["never-read", "held-by-child"]
		and .sockets[0].holders == [{"pid": $pid, "fd": .sockets[0].holders[0].fd, "program": "host_inherited"}]' err
	kill -USR1 "$holder"
	wait_until 60 grep -q '"event":"closed-late"' err
	touch end
	wait "$runner"
	jq -e 'select(.event == "summary") | .leaked == 0 and .closed_late.count == 1' err
}

@test "a leak that ended with its holder counts in the report of the ledger" {
	preloaded "log=stderr:ledger=$PWD/ledgers" exec end
	wait_until 60 grep -q "ERROR: sockleak: 1 socket left in CLOSE_WAIT by another process" err
	kill "$holder"
	wait_until 60 eval '! kill -0 "$holder" 2>/dev/null || grep -q " Z " /proc/$holder/stat'
	touch end
	wait "$runner"
	"$sockleak" report --json=json ledgers
	valid_report json
	held_by sleep
	holder=
}

# lists_it: list shows the holder of a leak, and since when, from the first time on
lists_it() {
	list_all --json >listed
	jq -e --argjson pid "$holder" '[.processes[].sockets[] | select(.fd == null and .opened_ms == null
		and any(.holders[]; .pid == $pid))] == []' listed || touch opened-unknown
	jq -e --argjson pid "$holder" \
		'[.processes[].sockets[] | select(.fd == null
		and .holders == [{"pid": $pid, "fd": .holders[0].fd, "program": "sleep"}]
		and .verdict == "grace" and .call == "accept4" and .origin.function == "accept_client")] | length == 1' listed
}

@test "list shows the holder while both run" {
	runs exec end
	wait_until 60 lists_it
	[ ! -e opened-unknown ]
	list_all --verbose >listed
	grep -qE "^    closed, held by process $holder \(sleep\) as fd [0-9]+: CLOSE_WAIT .*, leak for .*, opened .* ago by accept4 in accept_client " listed || {
		cat listed
		return 1
	}
	ends
}

@test "a child that serves its client is in no log" {
	local way grace=500

	for way in alive sends cloexec; do
		rm -f end
		preloaded grace=500ms "$way" end
		begun=$(($(date +%s%N) / 1000000))
		wait_until 60 has_lived
		touch end
		wait "$runner"
		equal "" "$(cat err)"
		kill "$holder"
		holder=
	done
}

@test "a child that outlives the run, whose directory has gone, ends without a word" {
	runs ends end
	wait_until 60 has_gone_quiet
	ends
	held_by host_inherited
	kill -USR1 "$holder"
	wait_until 60 eval '! kill -0 "$holder" 2>/dev/null'
	holder=
	run ! grep WARNING err
}
