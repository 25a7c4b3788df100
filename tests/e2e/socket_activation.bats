#!/usr/bin/env bats
# A connection that a supervisor gave to the program it executed: as a standard stream, by
# socket activation, or by chance.  It ends with the program, and past grace it is a leak,
# also in a program that imports no call which makes connections.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
	export GIVES_PRELOAD
	GIVES_PRELOAD=$(sanitizer_first)$build/libsockleak.so
	export SOCKLEAK_OPTIONS=grace=100ms:interval=20ms
}

teardown() {
	touch end
	wait || true
}

# given FD LISTEN_FDS PROGRAM [END]: what the program says is in `out` and `err`
given() {
	rm -f out
	"$fixtures/guest_supervisor" "$1" "$2" "$fixtures/$3" "$1" "${4:--}" >out 2>err 3>&- &
	program=$!
	wait_until 60 grep -qs ready out
}

# has_stood MS: the program holds the connection for longer
has_stood() {
	"$build/sockleak" scan --json --grace="$1ms" |
		jq -e --argjson pid "$program" 'any(.sockets[]; .leak and any(.holders[]; .pid == $pid))'
}

@test "a connection by socket activation ends with the program, as one on 0 to 2 does" {
	local fd

	export SOCKLEAK_OPTIONS=grace=1h:interval=20ms
	for fd in "3 1" "0 -" "4 2"; do
		# shellcheck disable=SC2086
		given $fd host_receives
		wait "$program"
		equal "" "$(cat err)"
	done
}

@test "one that was activated for another process, or lies beyond, is the program's to close" {
	local fd

	export SOCKLEAK_OPTIONS=grace=1h:interval=20ms
	for fd in "3 1@" "4 1" "3 -"; do
		# shellcheck disable=SC2086
		given $fd host_receives
		wait "$program"
		grep -q 'SUMMARY: sockleak: 1 socket leaked' err
	done
}

@test "past grace it is a leak all the same, in a program that only receives" {
	given 3 1 host_receives end
	wait_until 60 grep -q 'ERROR: sockleak: 1 socket left in CLOSE_WAIT' err
	touch end
	wait "$program"
	grep -q 'origin: inherited' err
	grep -q 'SUMMARY: sockleak: 1 socket leaked' err
}

@test "a program that imports no call of sockets says it at its end, and gets no thread" {
	given 7 - host_reads end
	wait_until 60 has_stood 200
	grep -qE '^Threads:\s+1$' "/proc/$program/status"
	touch end
	wait "$program"
	grep -q 'SUMMARY: sockleak: 1 socket leaked' err
	# Before its grace is over, however long it takes.
	rm end
	SOCKLEAK_OPTIONS=grace=1h given 7 - host_reads
	wait "$program"
	equal "" "$(cat err)"
}

@test "killed, it is judged by its ledger: what was activated ends with the program" {
	export SOCKLEAK_OPTIONS=grace=1h:interval=20ms:ledger=$PWD/ledgers
	given 3 1 host_receives end
	wait_until 60 eval 'json_of ledgers && [ "$(of "[.pending[].count] | add")" = 1 ]'
	kill -9 "$program"
	wait "$program" || true
	json_of ledgers
	equal '[0,1]' "$(of '[.leaks, .pending | length]')"
}
