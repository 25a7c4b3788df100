#!/usr/bin/env bats
# What reports say of the peers' ends, which lie in the same network: the kernel knows
# them, too.  In a namespace whose peers forget after so many seconds as a test needs.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
	host=$fixtures/run_host
}

teardown() {
	touch go
	[ -z "$keeper" ] || kill "$keeper"
	wait
}

# needs_namespace SECONDS: where FIN_WAIT_2 is to be seen it lasts long enough for a look
# that a busy machine has made dear, and so rare
needs_namespace() {
	unshare -n true 2>/dev/null || skip "network namespaces are not permitted here"
	unshare -n sh -c "sysctl -qw net.ipv4.tcp_fin_timeout=$1 && ip link set lo up && exec sleep 600" 3>&- &
	keeper=$!
	wait_until 60 eval '[ "$(cat /proc/$keeper/comm)" = sleep ]'
}

# Runs in the namespace.
inside() {
	nsenter -t "$keeper" -n "$@"
}

# begin VERBS...: run_host under sockleak run, its report in `json`
begin() {
	# Not by a function, whose pid would be a shell's.
	nsenter -t "$keeper" -n "$sockleak" run --quiet --json=json --ledger=ledgers --grace=100ms -O interval=20ms -- \
		"$host" "$@" 3>&- &
}

# live: what a report on the running program says
live() {
	inside "$sockleak" report --quiet --json=live ledgers && [ "$(jq -c "[.leaks[].sockets[].peer_state]" live)" = "$1" ]
}

ledger_pid() {
	basename ledgers/*.sockleak | cut -d. -f1
}

# listed STATES: what list says of the program
listed() {
	inside "$sockleak" list --json "$(ledger_pid)" >listed &&
		jq -e "[.processes[].sockets[] | select(.verdict == \"grace\").peer_state] == $1" listed
}

# is_read: somebody, here only the run, has opened the ledger just now
is_read() {
	[ "$("$top/tests/lib/opened" ledgers/*.sockleak sleep 0.2)" -gt 0 ]
}

@test "a report on a running program says FIN_WAIT_2, and forgotten once it is" {
	needs_namespace 12
	begin leak 2 wait go
	wait_until 60 live '["FIN_WAIT_2","FIN_WAIT_2"]'
	valid_report live
	wait_until 60 live '["forgotten","forgotten"]'
	valid_report live
	run -0 inside "$sockleak" report --verbose ledgers
	[[ $output == *"  The peer has forgotten these connections."* ]]
}

@test "so does list" {
	needs_namespace 12
	begin leak 1 wait go
	wait_until 60 listed '["FIN_WAIT_2"]'
	wait_until 60 listed '["forgotten"]'
	run -0 inside "$sockleak" list --verbose "$(ledger_pid)"
	[[ $output == *" CLOSE_WAIT 127.0.0.1:"*", forgotten by its peer, opened "* ]]
}

@test "what was forgotten while the program ran is told at its end" {
	needs_namespace 1
	begin leak 2 wait go
	local run=$!
	wait_until 60 live '["forgotten","forgotten"]'
	# Until run has looked, too: after one look that may have been under way.
	wait_until 60 is_read
	wait_until 60 is_read
	touch go
	wait "$run"
	valid_report json
	equal '["forgotten","forgotten"]' "$(of '[.leaks[].sockets[].peer_state]')"
}

@test "peers that waited when the program ended were in FIN_WAIT_2" {
	needs_namespace 60
	inside "$sockleak" run --quiet --json=json "$host" leak 2
	equal '["FIN_WAIT_2","FIN_WAIT_2"]' "$(of '[.leaks[].sockets[].peer_state]')"
}

@test "from another network, and from the ledger of a program that has ended, nothing is claimed" {
	needs_namespace 1
	begin leak 2 wait go
	wait_until 60 live '["forgotten","forgotten"]'
	"$sockleak" report --quiet --json=elsewhere ledgers
	equal '["unknown","unknown"]' "$(jq -c '[.leaks[].sockets[].peer_state]' elsewhere)"
	touch go
	wait "$!"
	inside "$sockleak" report --quiet --json=later ledgers
	equal '["exit"]' "$(jq -c '[.processes[].ended]' later)"
	equal '["unknown","unknown"]' "$(jq -c '[.leaks[].sockets[].peer_state]' later)"
}
