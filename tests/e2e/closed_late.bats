#!/usr/bin/env bats
# Leaks that are closed after all: by the end of the program they count, before it they
# keep their place, and decide no exit status unless asked to.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	closed_late=$fixtures/guest_closed_late
	tmp=$BATS_TEST_TMPDIR
	mkdir "$tmp/ledgers"
}

teardown() {
	[ -z "${host-}" ] || kill -9 "$host" 2>/dev/null || true
}

# begin OPTIONS ARGUMENT...: preloaded, with a ledger; its input is descriptor 4
begin() {
	mkfifo "$tmp/in"
	LD_PRELOAD=$preloads SOCKLEAK_OPTIONS="log=$tmp/log:ledger=$tmp/ledgers:grace=200ms:$1" \
		"$closed_late" "${@:2}" <"$tmp/in" >"$tmp/out" 3>&- 4>&- &
	host=$!
	exec 4>"$tmp/in"
	wait_until 60 grep -q ready "$tmp/out"
}

# Once the program's own scans have found all to be leaks: list would ask the kernel
# itself, report goes by the ledger.
has_leaked() {
	"$build/sockleak" report --quiet --json="$tmp/found" "$tmp/ledgers" &&
		jq -e --argjson n "$1" '[.leaks[].sockets[] | select(.verdict == "grace")] | length == $n' "$tmp/found"
}

# finish [STATUS]
finish() {
	exec 4>&-
	ended_with "${1-0}" "$host"
}

again() {
	rm -rf "$tmp/log" "$tmp/in" "$tmp/ledgers" "$tmp/json"
	mkdir "$tmp/ledgers"
}

# reported FILTER [OPTION...]: what jq makes of the report of the ledgers
reported() {
	"$build/sockleak" report --quiet --json="$tmp/json" "${@:2}" "$tmp/ledgers" || return
	tests/lib/valid_json tests/lib/report.schema.json "$tmp/json" || return
	jq -c "$1" "$tmp/json"
}

# What is said of N leaks that the program's end closed.
counts_as_leaks() {
	grep -qE "SUMMARY: sockleak: $1 sockets leaked at 1 place \(closed only by the program's end\)" "$tmp/log"
	[ "$(reported '[.leaks[0].count, (.leaks[0].sockets | map(.closed, .verdict) | unique), .closed_late, .processes[0].leaked, .processes[0].closed_late]')" = \
		"[$1,[\"end\",\"grace\"],[],$1,{\"count\":0,\"max_ms\":0}]" ]
	[ "$(jq -r '.leaks[0].origin[0].function' "$tmp/json")" = accept_one ]
}

@test "what a handler of exit, a destructor or the last lines before _exit close counts" {
	for how in atexit destructor _exit; do
		begin interval=20ms:exitcode=9 3 $how
		wait_until 60 has_leaked 3
		finish 9
		counts_as_leaks 3
		again
	done
}

@test "the same where no thread looks" {
	for told in told untold; do
		begin thread=no:interval=20ms:exitcode=9 3 $told atexit
		sleep 1 # the grace, and a thousand times what a scan costs: nobody looks meanwhile
		finish 9
		counts_as_leaks 3
		again
	done
}

@test "what was closed earlier keeps its place, and decides no exit status" {
	begin interval=20ms:exitcode=9 3 told now
	wait_until 60 has_leaked 3
	echo >&4
	wait_until 60 grep -q closed "$tmp/out"
	sleep 1.1 # more than the last second of a program
	finish 0
	grep -qE "CLOSED LATE: sockleak: 3 sockets held up to .* past their peers' ends, then closed" "$tmp/log"
	grep -qE "SUMMARY: sockleak: 0 sockets leaked at 0 places; .*; 3 closed late, after up to" "$tmp/log"
	[ "$(reported '[.leaks, .closed_late[0].count, .closed_late[0].origin[0].function, (.closed_late[0].sockets | map(.closed) | unique), .processes[0].closed_late.count]')" = \
		'[[],3,"accept_one",["late"],3]' ]
	[ "$(jq '.closed_late[0].oldest_ms >= 200 and .closed_late[0].oldest_ms < 60000' "$tmp/json")" = true ]
	# the other formats
	"$build/sockleak" report --quiet --junit="$tmp/junit" --tap="$tmp/tap" --sarif="$tmp/sarif" \
		--folded="$tmp/folded" --error-exitcode=7 "$tmp/ledgers"
	grep -q 'failures="0"' "$tmp/junit"
	grep -q '<testcase classname="sockleak.closed-late" name="accept_one' "$tmp/junit"
	grep -qE '^ok [0-9]+ - 3 sockets left in CLOSE_WAIT, then closed, opened in accept_one' "$tmp/tap"
	jq -e '.runs[0].results | length == 1 and .[0].level == "note"' "$tmp/sarif"
	grep -qE '^\[closed late\];.*accept_one;accept 3$' "$tmp/folded"
	# --late
	run -7 "$build/sockleak" report --quiet --late=leak --error-exitcode=7 --junit="$tmp/junit" "$tmp/ledgers"
	grep -q 'failures="1"' "$tmp/junit"
	[ "$(reported '[.closed_late, .processes[0].closed_late.count]' --late=none)" = '[[],3]' ]
	run -2 "$build/sockleak" report --late=maybe "$tmp/ledgers"
	# a rule takes it out
	echo 'leak:accept_one' >"$tmp/rules"
	[ "$(reported '[.closed_late, .suppressed[0].count]' --suppressions="$tmp/rules")" = '[[],3]' ]
}

@test "with format=json a late close is one event, and one by the end is a leak" {
	begin interval=20ms:format=json 1 now
	wait_until 60 has_leaked 1
	echo >&4
	wait_until 60 grep -q closed-late "$tmp/log"
	sleep 1.1
	finish
	[ "$(jq -sc 'map(.event)' "$tmp/log")" = '["leak","closed-late","summary"]' ]
	[ "$(jq -sc '.[1].sockets[0].closed' "$tmp/log")" = '"late"' ]
	[ "$(jq -sc '.[2] | [.leaked, .closed_late.count]' "$tmp/log")" = '[0,1]' ]
	again
	begin interval=20ms:format=json 1 atexit
	wait_until 60 has_leaked 1
	finish
	[ "$(jq -sc 'map(.event) | unique' "$tmp/log")" = '["leak","summary"]' ]
	[ "$(jq -sc 'last | [.leaked, .closed_late.count]' "$tmp/log")" = '[1,0]' ]
}

@test "of a killed process the ledger knows what it closed last, and what before" {
	begin interval=20ms 3 now
	wait_until 60 has_leaked 3
	echo >&4
	wait_until 60 grep -q closed "$tmp/out"
	kill -9 "$host"
	wait "$host" || true
	[ "$(reported '[.leaks[0].count, .closed_late, .leaks[0].sockets[0].closed]')" = '[3,[],"end"]' ]
	again
	begin interval=20ms 3 now
	wait_until 60 has_leaked 3
	echo >&4
	wait_until 60 grep -q closed "$tmp/out"
	[ "$(reported '[.leaks, .closed_late[0].count]')" = '[[],3]' ] # it runs
	sleep 3 # more than a second before the last scan, which may have been put off
	kill -9 "$host"
	wait "$host" || true
	[ "$(reported '[.leaks, .closed_late[0].count]')" = '[[],3]' ]
}

@test "a number that is used again does not hide what was closed under it" {
	cat >"$tmp/host.c" <<-'C'
		#include "guest.h"
		int main(void)
		{
			struct pair first = ended();
			for (long until = now_ms() + 60000; guest_row(first.server).verdict != SL_LEAK_GRACE; pause_ms(5))
				must(now_ms() < until);
			close(first.server);
			(void)connected(); /* one of its ends has that number */
			pause_ms(1300);
			return 0;
		}
	C
	cc -std=gnu11 -D_GNU_SOURCE -Ipreload -Ipreload/common -Itests/lib -o "$tmp/host" "$tmp/host.c"
	SOCKLEAK_OPTIONS="log=$tmp/log:ledger=$tmp/ledgers:grace=100ms:interval=20ms" LD_PRELOAD=$preloads \
		GUEST_LEDGER=$tmp/ledgers "$tmp/host"
	[ "$(reported '[.leaks, .closed_late[0].count]')" = '[[],1]' ]
}

# A program that is told of the peer's end, keeps the socket for more than a second, and
# closes it: short-lived PRELOADS OPTIONS ARGUMENT; "served": it sends before it closes;
# "later": it goes on after that for more than its last second.
short_lived() {
	[ -x "$tmp/host" ] || cc -std=gnu11 -D_GNU_SOURCE -Ipreload -Ipreload/common -Itests/lib -o "$tmp/host" \
		-x c - <<-'C'
		#include "guest.h"
		static NOINLINE int accept_one(int listener)
		{
			return accept(listener, NULL, NULL);
		}
		int main(int argc, char **argv)
		{
			const char *how = argc > 1 ? argv[1] : "";
			int listener = peer_listen(), client = peer_connect(listener);
			int server = accept_one(listener);
			peer_close(client);
			await_fin(server);
			read_to_end(server);
			pause_ms(1200); /* its grace is a second */
			must(strcmp(how, "served") || send(server, "x", 1, MSG_NOSIGNAL) == 1);
			close(server);
			pause_ms(strcmp(how, "now") ? 1300 : 0);
			return 0;
		}
	C
	LD_PRELOAD=$preloads SOCKLEAK_OPTIONS="log=$tmp/log:ledger=$tmp/ledgers:grace=1s:interval=1h:$1" \
		"$tmp/host" "$2"
}

@test "a leak that no scan has seen counts by what its close knows" {
	for options in thread=yes thread=no thread=no:format=json; do
		short_lived $options later
		grep -qE 'CLOSED LATE: sockleak: 1 socket |"event":"closed-late"' "$tmp/log"
		[ "$(reported '[.leaks, (.closed_late[0] | [.count, .origin[0].function, .sockets[0].closed, .sockets[0].why])]')" = \
			'[[],[1,"accept_one","late",["eof-read"]]]' ]
		[ "$(jq '.closed_late[0].oldest_ms >= 1200 and .closed_late[0].oldest_ms < 60000' "$tmp/json")" = true ]
		again
		# by the end of the program
		run -9 short_lived $options:exitcode=9 now
		[ "$(reported '[(.leaks[0] | [.count, .origin[0].function, .sockets[0].closed]), .closed_late]')" = \
			'[[1,"accept_one","end"],[]]' ]
		again
		# a half-closed connection that is still served
		short_lived $options:exitcode=9 served
		[ ! -e "$tmp/log" ]
		[ "$(reported '[.leaks, .closed_late]')" = '[[],[]]' ]
		again
	done
}

@test "with a short grace the kernel is asked as often as that needs" {
	cat >"$tmp/host.c" <<-'C'
		#include "guest.h"
		int main(void)
		{
			(void)connected();
			const struct sl_header *header = guest_ledger(getpid());
			const volatile uint64_t *looked = &header->scanned_ns;
			must(header);
			/* two scans within half a second; a second lies between those of a long grace */
			for (long until = now_ms() + 60000;;) {
				uint64_t first = *looked, second;
				while ((second = *looked) == first)
					must(now_ms() < until);
				if (first && second - first < 500000000)
					return 0;
			}
		}
	C
	cc -std=gnu11 -D_GNU_SOURCE -Ipreload -Ipreload/common -Itests/lib -o "$tmp/host" "$tmp/host.c"
	SOCKLEAK_OPTIONS="log=none:ledger=$tmp/ledgers:grace=100ms" LD_PRELOAD=$preloads \
		GUEST_LEDGER=$tmp/ledgers "$tmp/host"
}

@test "run takes at_exit, and the rules that its processes are given" {
	sanitizer_with_library
	cat >"$tmp/short.c" <<-'C'
		#include "guest.h"
		int main(void)
		{
			(void)ended();
			return 0;
		}
	C
	cc -g -std=gnu11 -D_GNU_SOURCE -Ipreload -Ipreload/common -Itests/lib -o "$tmp/short" "$tmp/short.c"
	run -0 "$build/sockleak" run --error-exitcode=9 --grace=60s "$tmp/short"
	[[ $output == *"sockleak: 1 socket would count with --at-exit=all"* ]]
	[[ $output == *"held to the end of the program, not counted"* ]]
	run -9 "$build/sockleak" run --at-exit=all --error-exitcode=9 --grace=60s "$tmp/short"
	[[ $output != *"would count"* ]]
	run -125 "$build/sockleak" run --at-exit=some true
	echo 'leak:short' >"$tmp/rules"
	run -0 "$build/sockleak" run --at-exit=all --error-exitcode=9 -O "suppressions=$tmp/rules" "$tmp/short"
	SOCKLEAK_OPTIONS="grace=60s:suppressions='$tmp/rules':log=none" \
		run -0 "$build/sockleak" run --at-exit=all --error-exitcode=9 "$tmp/short"
	run -125 "$build/sockleak" run -O "suppressions=$tmp/none" "$tmp/short"
}
