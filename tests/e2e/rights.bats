#!/usr/bin/env bats
# The helper thread keeps nothing that its host gives up, and takes nothing that is the
# host's alone.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	without_runtime "it has threads of its own"
	rights=$fixtures/guest_rights
}

@test "no thread keeps the rights that the program gives up by a system call of its own" {
	[ "$(id -u)" = 0 ] || skip "only root has rights to give up"
	for name in $("$rights"); do
		same_both "$rights" "$name"
	done
}

@test "the helper has the usual policy, and the processors that the program was given" {
	[ "$(nproc)" -ge 2 ] || skip "there is one processor"
	run -0 preloaded interval=20ms "$fixtures/guest_schedule" "$(nproc)"
	[ "$output" = "usual schedule: yes" ]
}

@test "the helper stays on the one processor that the program was given" {
	first=$(taskset -pc $$ | sed 's/.*: //; s/[-,].*//')
	run -0 preloaded interval=20ms taskset -c "$first" "$fixtures/guest_schedule" 1
	[ "$output" = "usual schedule: yes" ]
}

@test "in its own sandbox a program is asked for no time, which may cost a system call" {
	same_both "$fixtures/guest_clock"
}
