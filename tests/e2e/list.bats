#!/usr/bin/env bats
# `sockleak list` looks at examples/http_server while it runs, which forgets the clients
# of pages that do not exist.

load ../lib/sanitizer
load ../lib/wait

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	B=$(realpath "${B:-build}")
	sockleak=$B/sockleak
	ledgers=$BATS_TEST_TMPDIR/ledgers
	mkdir "$ledgers"
	unset SOCKLEAK_OPTIONS LD_PRELOAD
	sanitizer_with_library
}

teardown() {
	[ -z "$pid" ] || end_server 2>/dev/null || true
}

# With what it was started by: unshare itself ignores SIGTERM.
end_server() {
	local child
	for child in $(pgrep -P "$pid"); do
		kill "$child"
	done
	kill -KILL "$pid"
	wait "$pid"
}

# start: the server, with a ledger; sets pid and port.  COMMAND may stand before it.
start() {
	local announced=$BATS_TEST_TMPDIR/announced
	SOCKLEAK_OPTIONS=grace=200ms:interval=50ms:log=none:ledger=$ledgers \
		LD_PRELOAD=$B/libsockleak.so "$@" "$B/examples/http_server" >"$announced" 3>&- &
	pid=$!
	wait_until 60 grep -qs listening "$announced"
	port=$(sed 's/.*://' "$announced")
}

leak() {
	curl -s -o "$BATS_TEST_TMPDIR/answer" "http://127.0.0.1:$port/nowhere"
}

listed() {
	"$sockleak" list --json "$@" >"$BATS_TEST_TMPDIR/listed"
}

# A condition on the process of the server, as jq says it; accepted: its accepted sockets.
holds() {
	listed "$pid" && jq -e "def accepted: [.sockets[] | select(.call == \"accept\")];
		.processes | length == 1 and (.[0] | $1)" "$BATS_TEST_TMPDIR/listed" >/dev/null
}

has_leaked() {
	holds 'accepted | length == 1 and .[0].verdict == "grace"'
}

@test "a running process that keeps a ledger is found, with its leak and where it was opened" {
	start
	leak
	wait_until 60 has_leaked
	line=$(grep -n 'accept4\?(' "$PWD/examples/http_server.c" | head -1 | cut -d: -f1)
	holds "$(
		cat <<-END
			.pid == $pid and (.exe | endswith("/http_server")) and .opened == 2 and .closed == 0 and
			any(.sockets[]; .state == "LISTEN" and .call == "socket" and .verdict == null) and
			(accepted[0] | .state == "CLOSE_WAIT" and .call == "accept" and .local == "127.0.0.1:$port" and
			.age_ms >= 200 and .opened_ms >= .age_ms and .origin.function == "accept_client" and
			(.origin.file | endswith("http_server.c")) and .origin.line == $line and
			(.origin.build_id | length) >= 16 and .origin_note == null)
		END
	)"
	# The kernel agrees.
	fd=$(jq '.processes[0].sockets[1].fd' "$BATS_TEST_TMPDIR/listed")
	[[ $(ss -Htnp state close-wait "sport = :$port") == *"pid=$pid,fd=$fd)"* ]]
	run "$sockleak" list
	[ "$status" -eq 0 ]
	[[ $output == *"$B/examples/http_server (pid $pid): 2 opened, 0 closed, 2 descriptors held; looked at "*" ago:"* ]]
	[[ $output == *"    fd $fd CLOSE_WAIT 127.0.0.1:$port <- 127.0.0.1:"*", leak for "*", opened "*" ago by accept in accept_client "*"http_server.c:$line"* ]]
}

@test "a socket whose peer is there is listed, and is no leak" {
	start
	exec 5<>"/dev/tcp/127.0.0.1/$port"
	wait_until 60 holds 'accepted | length == 1 and .[0].verdict == null and .[0].age_ms == null and .[0].local == null'
	run "$sockleak" list --error-exitcode=7 "$pid"
	[ "$status" -eq 0 ]
	[[ $output == *" ESTABLISHED ? <- 127.0.0.1:"* ]] # its own address was not asked for yet
	exec 5<&-
	wait_until 60 holds 'accepted == [] and .closed == 1'
}

@test "--error-exitcode counts leaks" {
	start
	leak
	wait_until 60 has_leaked
	run "$sockleak" list --error-exitcode=7 "$pid"
	[ "$status" -eq 7 ]
}

@test "a process that keeps no ledger, is gone, or is none, is said, with status 2" {
	run "$sockleak" list $$
	[ "$status" -eq 2 ]
	[[ ${lines[0]} == "sockleak: process $$ keeps no ledger" ]]
	run "$sockleak" list 2147483647
	[ "$status" -eq 2 ]
	[[ ${lines[0]} == "sockleak: cannot look at process 2147483647: No such process" ]]
	local wrong
	for wrong in 12x '' -5 99999999999 --nonsense --error-exitcode=x; do
		run "$sockleak" list "$wrong"
		[ "$status" -eq 2 ]
		[[ ${lines[0]} == "sockleak: list: "* ]]
	done
	run "$sockleak" list --help
	[ "$status" -eq 0 ]
	[[ $output == *Examples:* ]]
}

@test "where /proc is not mounted nothing is claimed" {
	not_with address "its runtime reads /proc"
	unshare -m true || skip "needs rights to unmount"
	for command in list scan; do
		run unshare -m sh -c "mount -t tmpfs none /proc && exec '$sockleak' $command"
		[ "$status" -eq 2 ]
		[ "$output" = "sockleak: cannot look into /proc: No such file or directory" ]
	done
}

@test "a child that has its parent's ledger mapped is not taken for its owner" {
	without_runtime "the shell is built without it"
	start sh -c '"$@" & child=$!; trap "kill $child" TERM; wait' -
	# sh itself makes no connection, and so keeps no ledger.
	child=$(pgrep -P "$pid")
	leak
	wait_until 60 eval 'listed && jq -e ".processes | any(.pid == $child)" "$BATS_TEST_TMPDIR/listed" >/dev/null'
	jq -e ".processes | all(.pid != $pid)" "$BATS_TEST_TMPDIR/listed"
	kill "$child"
}

@test "a ledger that was deleted is read all the same, given the rights" {
	start
	leak
	wait_until 60 has_leaked
	rm "$ledgers"/*.sockleak
	if [ -r "/proc/$pid/map_files/$(sed -n 's/ .*sockleak (deleted)$//p' "/proc/$pid/maps" | head -1)" ]; then
		has_leaked
	else
		run "$sockleak" list "$pid"
		[ "$status" -eq 2 ]
		[[ ${lines[0]} == "sockleak: cannot read $ledgers/"*" of process $pid: it was deleted" ]]
	fi
}

@test "other users' processes are counted, not listed" {
	[ "$(id -u)" -eq 0 ] || skip "needs root, to be somebody else"
	start
	leak
	exec 9<"$sockleak"
	as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups /proc/self/fd/9 list)
	run "${as_nobody[@]}"
	[ "$status" -eq 0 ]
	# That user may have processes of its own that keep a ledger.
	[[ $output == *"sockleak: "*" processes of other users could not be looked at." ]]
	[[ $output != *"(pid $pid)"* ]]
	run "${as_nobody[@]}" "$pid"
	[ "$status" -eq 2 ]
	[[ ${lines[0]} == "sockleak: cannot look at process $pid: Permission denied" ]]
}

@test "a process in another pid and mount namespace is found" {
	without_runtime "the shell is built without it"
	unshare -pmf true 2>/dev/null || skip "namespaces are not permitted here"
	start unshare -pmf --kill-child --propagation=private sh -c 'mount -t tmpfs none '"$ledgers"' && "$@" & wait' -
	leak
	wait_until 60 eval 'listed && jq -e ".processes | any(.sockets | any(.verdict == \"grace\" and .local == \"127.0.0.1:$port\"))" "$BATS_TEST_TMPDIR/listed" >/dev/null'
	found=$(jq ".processes[] | select(any(.sockets[]; .local == \"127.0.0.1:$port\")) | .pid" "$BATS_TEST_TMPDIR/listed")
	[ ! -e "$(sed -n 's/.* \(\/.*\.sockleak\)$/\1/p' "/proc/$found/maps" | head -1)" ]
}

@test "a damaged ledger is one clear line, and the others are listed" {
	start
	leak
	wait_until 60 has_leaked
	printf nonsense | dd of="$(echo "$ledgers"/*.sockleak)" conv=notrunc status=none
	run "$sockleak" list
	[ "$status" -eq 2 ]
	[[ $output == *"sockleak: cannot read $ledgers/"*" of process $pid: "* ]]
}
