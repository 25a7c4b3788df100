#!/usr/bin/env bats
# Processes of another pid namespace, of another root, or without /proc, as list and
# report see them: what runs is not judged as if it had been killed.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	unshare -pmf true 2>/dev/null || skip "namespaces are not permitted here"
	without_runtime "the programs of the system are built without it"
	command_setup
	host=$PWD/host # list shows the processes of other tests, too
	cp "$fixtures/run_host" "$host"
}

teardown() {
	touch "$BATS_TEST_TMPDIR/go" # a test that is skipped is elsewhere
	wait
}

# start WRAPPER...: the host, with a socket that it was told of and keeps, for a time that
# is far below grace
start() {
	SOCKLEAK_OPTIONS=grace=60s:interval=50ms:log=none:ledger=$PWD/ledgers \
		LD_PRELOAD=$build/libsockleak.so "$@" leak 1 say ready wait "$PWD/go" >said 3>&- &
	wait_until 60 grep -q ready said
	wait_until 60 is_pending
}

# The only process whose program is in this directory holds a socket in CLOSE_WAIT, has
# seen that itself, which list alone does not tell, and has followed its backtrace.
is_pending() {
	json_of ledgers && [ "$(of '.processes[0].pending')" = 1 ] || return
	list_all --json >listed
	jq -e --arg here "$PWD/" '[.processes[] | select(.exe | startswith($here)) | .sockets[] |
		select(.state == "CLOSE_WAIT" and .origin)] | length == 1' listed
}

verdicts_listed() {
	jq -c --arg here "$PWD/" '[.processes[] | select(.exe | startswith($here)) | .sockets[] |
		select(.state == "CLOSE_WAIT") | [.kind, .verdict]]' listed
}

ended_and_leaked() {
	of '[.processes[0].ended, .processes[0].leaked, .processes[0].pending]'
}

@test "what runs in a pid namespace below is running, and nothing of it has leaked yet" {
	start unshare -pf --kill-child "$host"
	equal '[["close-wait",null]]' "$(verdicts_listed)"
	json_of ledgers
	# Where this is no first namespace, nobody can know that it runs.
	[[ $(ended_and_leaked) == '["running",0,1]' || $(ended_and_leaked) == '["unknown",0,1]' ]]
}

@test "scan names a process of a pid namespace below by the pid that it has here" {
	start unshare -pf --kill-child "$host"
	"$sockleak" scan --json=scanned >/dev/null
	jq -e --argjson pid "$(pgrep -P $!)" '[.sockets[] | select(.state == "CLOSE_WAIT") |
		.holders[] | select(.pid == $pid and .name == "host")] | length == 1' scanned
}

@test "what runs in a pid namespace above is not taken for killed" {
	start "$host"
	equal '[["close-wait",null]]' "$(verdicts_listed)"
	unshare -pf --mount-proc --kill-child "$sockleak" report --quiet --json=json ledgers
	equal '["unknown",0,1]' "$(ended_and_leaked)"
	unshare -pf --mount-proc --kill-child "$sockleak" report ledgers >text
	run ! grep ERROR text
}

@test "what was killed in a pid namespace is judged as killed" {
	start unshare -pf --kill-child "$host"
	local first=4026531836 # the inode of the first pid namespace, in every kernel
	kill -KILL "$(pgrep -P $!)"
	wait $! || true
	json_of ledgers
	if [ "$(stat -Lc %i /proc/self/ns/pid)" -eq $first ]; then
		equal '["unknown",1,0]' "$(ended_and_leaked)"
	else
		equal '["unknown",0,1]' "$(ended_and_leaked)"
	fi
}

@test "a process in a chroot without /proc is not judged as killed" {
	mkdir root
	start unshare -m sh -c 'mount --rbind / root && umount -lR root/proc && exec chroot root "$@"' - "$host"
	equal '[["close-wait",null]]' "$(verdicts_listed)"
	json_of ledgers
	[[ $(ended_and_leaked) == '["unknown",0,1]' ]]
}

@test "the modules of a process are looked for in its own file system" {
	mkdir private
	start unshare -m sh -c 'mount -t tmpfs none private && cp "$1" private/app && shift && exec private/app "$@"' - "$host"
	[ ! -e private/app ]
	local origin
	origin=$(jq -c --arg here "$PWD/" '[.processes[] | select(.exe | startswith($here)) | .sockets[] |
		select(.state == "CLOSE_WAIT") | .origin | [.function, .module]]' listed)
	equal "[[\"accept_client\",\"$PWD/private/app\"]]" "$origin"
}
