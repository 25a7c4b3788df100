#!/usr/bin/env bats
# Hosts that do something unusual (tests/README.md lists the kinds): each ends as it does
# bare, with the helper thread and without, and its one leak is found, once.

load ../lib/guest

setup() {
	guest_setup
	without_runtime "stacks, signals and limits are the runtime's, too"
	export build preloads
	meet_hosts="timeout 300 $PWD/tests/lib/meet_hosts"
	cd "$BATS_TEST_TMPDIR" || return 1
}

@test "hosts on stacks of their own" {
	$meet_hosts "$fixtures/host_stacks"
}

@test "hosts at their limits" {
	$meet_hosts "$fixtures/host_limits"
}

@test "hosts with unusual children" {
	$meet_hosts "$fixtures/host_processes"
}

@test "hosts with namespaces of their own" {
	$meet_hosts "$fixtures/host_namespaces"
}

@test "hosts with unusual ends" {
	$meet_hosts "$fixtures/host_ends"
}

@test "hosts with their own ways of treating descriptors" {
	$meet_hosts "$fixtures/host_descriptors"
}

@test "hosts with signals, filters, unreadable memory and their own libraries" {
	$meet_hosts "$fixtures/host_calls"
}

@test "hosts with memory that is not there yet" {
	$meet_hosts "$fixtures/host_memory"
}

@test "hosts with unusual connections" {
	$meet_hosts "$fixtures/host_connections"
}

@test "hosts whose calls others make" {
	$meet_hosts "$fixtures/host_supervised"
}

@test "hosts with functions of the C library's names" {
	$meet_hosts "$fixtures/host_names"
}

@test "hosts that jump out of calls" {
	$meet_hosts "$fixtures/host_signals"
}
