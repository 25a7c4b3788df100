#!/usr/bin/env bats
# What counts as a leak, since when, and why: in the log of a plain preload, in the report
# of a run, in that of a killed process, and in list.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	verdict=$fixtures/guest_verdict
	tmp=$BATS_TEST_TMPDIR
}

# begin OPTIONS CASE: preloaded, with a ledger, until finish or `kill -9 $host`
begin() {
	mkdir -p "$tmp/ledgers"
	mkfifo "$tmp/in.$2"
	LD_PRELOAD=$preloads SOCKLEAK_OPTIONS="log=$tmp/log:ledger=$tmp/ledgers:$1" \
		"$verdict" "$2" <"$tmp/in.$2" >"$tmp/out" 3>&- 4>&- &
	host=$!
	exec 4>"$tmp/in.$2"
	wait_until 30 eval 'grep -q ready "$tmp/out"'
}

# finish [STATUS]: what it ends with
finish() {
	exec 4>&-
	ended_with "${1-0}" "$host"
}

teardown() {
	[ -z "${host-}" ] || kill -9 "$host" 2>/dev/null || true
}

# reported FILTER: what jq makes of the report of the ledgers
reported() {
	"$build/sockleak" report --quiet --json="$tmp/json" "$tmp/ledgers"
	tests/lib/valid_json tests/lib/report.schema.json "$tmp/json"
	jq -c "$1" "$tmp/json"
}

@test "a send queue that does not move for grace is a leak, while it runs and when it is killed" {
	for thread in yes no; do
		begin "grace=300ms:interval=50ms:thread=$thread" stalled
		if [ $thread = yes ]; then
			wait_until 30 eval 'grep -q "why: eof-read, stalled" "$tmp/log"'
			"$build/sockleak" list --verbose --json="$tmp/list" "$host" >"$tmp/text"
			grep -qE "leak for [^ ]+ \(eof-read, stalled\)" "$tmp/text" || "$build/sockleak" list --verbose "$host" | grep -qE "leak for [^ ]+ \(eof-read, stalled\)"
			jq -e '.processes[0].sockets | map(select(.kind)) | length == 1 and .[0].why == ["eof-read", "stalled"]' "$tmp/list"
			kill -9 "$host"
			wait "$host" || true
		else
			sleep 1 # the grace, and what an ACK takes: nobody looks meanwhile
			finish
		fi
		[ "$(reported '[.leaks[0] | .why, .count, .sockets[0].verdict]')" = \
			'[["eof-read","stalled"],1,"grace"]' ]
		rm -r "$tmp/ledgers" "$tmp/log" "$tmp"/in.*
	done
}

@test "a send queue that stands still since then is a leak, although the peer answers probes" {
	# A second, less twice the kernel's 200 ms.
	begin grace=400ms:interval=1h:thread=no:exitcode=9 stalled-later
	finish 9
	[ "$(reported '[.leaks[0] | .why, .count]')" = '[["eof-read","stalled"],1]' ]
}

@test "a send queue that moves is none, however long" {
	begin grace=300ms:interval=20ms drained-slowly
	sleep 0.9 # three times the grace
	[ ! -s "$tmp/log" ]
	kill -9 "$host"
	wait "$host" || true
	[ "$(reported '[.leaks, .pending[0].sockets[0].verdict]')" = '[[],null]' ]
}

@test "the time in which a program is stopped does not count" {
	begin grace=4s:interval=50ms never-told-and-told
	kill -STOP "$host"
	sleep 5 # the grace itself, and more
	run -0 "$build/sockleak" list --error-exitcode=9 "$host"
	kill -CONT "$host"
	finish
	[ "$(reported '[.leaks, .closed_late, [.pending[].count]]')" = '[[],[],[1]]' ]
}

@test "a socket is as old as the program's knowledge of its end" {
	for thread in yes no; do
		begin "grace=60s:interval=10s:thread=$thread" told-of-a-reset
		sleep 0.3
		finish
		# "for 312ms" and "told 312ms ago": at least as long
		[ "$(reported '.leaks[0] | .oldest_ms >= 300 and .sockets[0].age_ms >= 300')" = true ]
		age=$(sed -nE 's/.* for ([0-9]+)ms$/\1/p' "$tmp/log")
		told=$(sed -nE 's/.* told ([0-9]+)ms ago .*/\1/p' "$tmp/log")
		((age >= 300 && age >= told))
		rm -r "$tmp/ledgers" "$tmp/log" "$tmp"/in.*
	done
}

@test "a connection that failed is as old as the program's knowledge of it" {
	for way in option number read write; do
		begin grace=300ms:interval=1h:thread=no:exitcode=9 refused-by-$way
		sleep 0.4 # the grace itself: nobody looks meanwhile
		finish 9
		[ "$(reported '[.leaks[0] | .kind, .why, .count, .sockets[0].verdict]')" = \
			'["dead",["connect-failed"],1,"grace"]' ]
		rm -r "$tmp/ledgers" "$tmp/log" "$tmp"/in.*
	done
	begin grace=60s:thread=no:exitcode=9 refused-by-option
	finish
	[ "$(reported '[.leaks, .pending[0].why]')" = '[[],["connect-failed"]]' ]
}

@test "SO_ERROR tells a program of a reset" {
	for thread in yes no; do
		begin "grace=60s:exitcode=9:thread=$thread" told-by-the-option
		finish 9
		[ "$(reported '[.leaks[0] | .kind, .why, .eof_call, .sockets[0].verdict]')" = \
			'["dead",["reset"],"getsockopt","exit"]' ]
		rm -r "$tmp/ledgers" "$tmp/log" "$tmp"/in.*
	done
}

@test "a shutdown that is all a program did is shown with its backtrace" {
	begin grace=60s shut-and-kept
	finish
	grep -q 'it was shut down .* ago by shutdown():' "$tmp/log"
	grep -q ' in shut_here+' "$tmp/log"
	[ "$(reported '.leaks[0] | [.eof_call, .eof[0].function]')" = '["shutdown","shut_here"]' ]
}

@test "EPIPE after a shutdown of one's own is no reset" {
	begin grace=60s shut-and-written-to
	finish
	[ "$(reported '.leaks[0].why')" = '["never-read","shut-not-closed"]' ]
}

@test "at_exit=all counts what the program was not told of, in all reports" {
	begin grace=60s:at_exit=all:exitcode=9 never-told
	finish 9
	grep -q 'SUMMARY: sockleak: 1 socket leaked' "$tmp/log"
	[ "$(reported '.leaks[0].sockets[0].verdict')" = '"exit"' ]
	rm -r "$tmp/ledgers" "$tmp/log" "$tmp"/in.*
	# ... and killed, as of its last look
	begin grace=60s:at_exit=all:interval=20ms never-told
	wait_until 30 eval '[ "$(reported "[.pending[].count]")" = "[1]" ]'
	kill -9 "$host"
	wait "$host" || true
	[ "$(reported '.leaks[0].sockets[0].verdict')" = '"exit"' ]
}

@test "what a check called a leak is one at the end, too" {
	begin grace=60s found-by-check
	grep -qx 1 "$tmp/out"
	finish
	grep -q 'SUMMARY: sockleak: 1 socket leaked' "$tmp/log"
	[ "$(reported '.leaks[0].sockets[0].verdict')" = '"exit"' ]
	rm -r "$tmp/ledgers" "$tmp/log" "$tmp"/in.*
	begin grace=60s closed-within-drain
	grep -qx 0 "$tmp/out"
	finish
	[ "$(reported '[.leaks, .pending]')" = '[[],[]]' ]
}
