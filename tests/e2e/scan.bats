#!/usr/bin/env bats
# `sockleak scan` against sockets that tests/lib/sockets.py makes; `ss` is the witness.
# Other processes' sockets may be there too: every test looks at its own port.

load ../lib/wait

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	sockleak=$(realpath "${B:-build}")/sockleak
	scenario=$PWD/tests/lib/sockets.py
}

teardown() {
	[ -z "$pid$peers" ] || kill $pid $peers 2>/dev/null || true
}

# make SCENARIO...: sets port and pid; COMMAND may stand before it.
make_sockets() {
	coproc SOCKETS { "${before[@]}" /usr/bin/python3 "$scenario" "$@"; }
	read -r -t 60 port pid <&"${SOCKETS[0]}"
	[ -n "$port" ]
}

# The sockets of the port, as JSON; options go to scan.
scanned() {
	"$sockleak" scan --json "$@" >"$BATS_TEST_TMPDIR/all" &&
		jq --arg tail ":$port" '[.sockets[] | select(.local | endswith($tail))]' "$BATS_TEST_TMPDIR/all"
}

# assert JQ-CONDITION on what was scanned.
assert_scanned() {
	# jq is content with a file that is empty.
	scanned --grace=0s >"$BATS_TEST_TMPDIR/scanned" && jq -e --argjson pid "$pid" "$1" "$BATS_TEST_TMPDIR/scanned" >/dev/null || {
		cat "$BATS_TEST_TMPDIR/scanned"
		return 1
	}
}

@test "unread bytes are counted without the end of stream behind them" {
	make_sockets unread
	assert_scanned 'length == 1 and (.[0] | .state == "CLOSE_WAIT" and .unread_bytes == 5 and .eof_unread
		and .age_ms != null and .leak and (.in_accept_queue | not) and .listener.waiting == 0)'
	# ss counts the end of stream as one more byte.
	[ "$(ss -Htn state close-wait "sport = :$port" | awk '{ print $1 }')" -eq 6 ]
}

@test "an end of stream that was read is told from one that was not" {
	make_sockets read
	assert_scanned 'length == 1 and (.[0] | .state == "CLOSE_WAIT" and .unread_bytes == 0 and (.eof_unread | not))'
}

@test "the holder is named, with descriptor and inode as ss says" {
	make_sockets unread
	assert_scanned '.[0].holders | length == 1 and .[0].pid == $pid and .[0].name == "python3"'
	fd=$(jq '.[0].holders[0].fd' "$BATS_TEST_TMPDIR/scanned")
	inode=$(jq '.[0].inode' "$BATS_TEST_TMPDIR/scanned")
	[ "$(readlink "/proc/$pid/fd/$fd")" = "socket:[$inode]" ]
	[[ $(ss -Htne state close-wait "sport = :$port") == *"ino:$inode "* ]]
}

@test "every descriptor in every process that holds a socket is counted" {
	make_sockets shared
	assert_scanned 'length == 1 and (.[0].holders | length == 6 and ([.[].pid] | unique | length) == 2
		and any(.pid == $pid))'
	run "$sockleak" scan
	[[ $output == *"held by 6 descriptors of 2 processes: fd "* ]]
}

@test "IPv6 is seen" {
	make_sockets unread ::1
	assert_scanned 'length == 1 and (.[0] | (.local | startswith("[::1]:")) and .unread_bytes == 5)'
}

@test "a socket that this system connected is seen, and shown as such" {
	make_sockets connected
	assert_scanned 'length == 1 and (.[0] | .listener == null and .holders[0].pid == $pid)'
	run "$sockleak" scan
	[[ $output == *"CLOSE_WAIT 127.0.0.1:$port -> 127.0.0.1:"* ]]
}

@test "those that died in an accept queue are shown with their listener" {
	make_sockets queue
	assert_scanned 'length == 2 and all(.in_accept_queue and .inode == 0 and .listener.waiting == 2
		and .holders[0].pid == $pid) and ([.[].unread_bytes] | sort) == [0, 2]'
	run "$sockleak" scan
	[[ $output == *"python3 (pid $pid) never accepted 2 sockets whose peer is gone, listening on 127.0.0.1:$port:"* ]]
}

@test "a listener of IPv6 that takes IPv4 is found" {
	make_sockets queue ::
	assert_scanned 'length == 2 and all(.in_accept_queue and (.local | startswith("127.0.0.1:"))
		and .listener.local == "[::]:'"$port"'" and .holders[0].pid == $pid)'
}

@test "LAST_ACK is shown while a program holds it, and no leak while something is unsent" {
	make_sockets last_ack
	assert_scanned 'length == 1 and (.[0] | .state == "LAST_ACK" and .holders[0].pid == $pid
		and .unsent_bytes > 0 and (.leak | not))'
}

@test "CLOSING is shown while a program holds it" {
	make_sockets closing
	assert_scanned 'length == 1 and (.[0] | .state == "CLOSING" and .holders[0].pid == $pid)'
}

@test "what the program has closed, and what is connected, is not shown" {
	make_sockets orphan
	assert_scanned 'length == 0'
	kill "$pid"
	make_sockets healthy
	assert_scanned 'length == 0'
}

@test "a socket of MPTCP is shown once, and its subflows are not" {
	[ "$(cat /proc/sys/net/mptcp/enabled 2>/dev/null)" = 1 ] || skip "this kernel has no MPTCP"
	make_sockets mptcp
	assert_scanned 'length == 1 and (.[0] | .mptcp and .holders[0].pid == $pid and .unread_bytes == null)'
}

@test "grace decides what is a leak, and --error-exitcode says so" {
	make_sockets unread
	run "$sockleak" scan --grace=100h --error-exitcode=7
	[ "$status" -eq 0 ]
	[[ $output == *"127.0.0.1:$port <- "*" (fd "*"), pending for "* ]]
	run "$sockleak" scan --grace=0ms --error-exitcode=7
	[ "$status" -eq 7 ]
	[[ $output == *"127.0.0.1:$port <- "*" (fd "*"), for "* ]]
	run "$sockleak" scan --grace=0ms
	[ "$status" -eq 0 ]
}

@test "without privileges another user's socket is listed, and what could not be seen is said" {
	[ "$(id -u)" -eq 0 ] || skip "needs root, to be somebody else"
	make_sockets unread
	cp "$sockleak" "$BATS_TEST_TMPDIR/sockleak"
	chmod 755 "$BATS_TEST_TMPDIR/sockleak"
	exec 9<"$BATS_TEST_TMPDIR/sockleak"
	as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups /proc/self/fd/9 scan)
	scanned=$("${as_nobody[@]}" --json)
	jq -e --arg tail ":$port" <<<"$scanned" '.unseen_processes > 0 and
		([.sockets[] | select(.local | endswith($tail))] | length == 1 and
		(.[0] | .holders == [] and .uid == 0 and .unread_bytes == 5 and .age_ms != null))'
	run "${as_nobody[@]}"
	[ "$status" -eq 0 ]
	[[ $output == *"127.0.0.1:$port <- "*" (uid 0), "* ]]
	[[ $output == *" of other users could not be looked at."* ]]
}

@test "sockets of other network namespaces are shown, and it comes back from there" {
	unshare -n true 2>/dev/null || skip "network namespaces are not permitted here"
	before=(unshare -n sh -c 'ip link set lo up && exec "$@"' -)
	make_sockets unread
	assert_scanned 'length == 1 and (.[0] | .holders[0].pid == $pid and .listener != null)'
	[ -z "$(ss -Htn state close-wait "sport = :$port")" ]
}

@test "a socket that is only bound is listed by the kernel, too, and passed over" {
	unshare -n true 2>/dev/null || skip "network namespaces are not permitted here"
	before=(unshare -n sh -c 'ip link set lo up && exec "$@"' -)
	make_sockets bound
	assert_scanned 'length == 1 and (.[0] | .holders[0].pid == $pid and .unread_bytes == 5)'
}

# What is said of the peers in a namespace of its own, where they soon forget: not before
# a look at them, on a busy machine either.
make_in_namespace() {
	unshare -n true 2>/dev/null || skip "network namespaces are not permitted here"
	before=(unshare -n sh -c 'ip link set lo up && sysctl -qw net.ipv4.tcp_fin_timeout=4 && exec "$@"' -)
	make_sockets "$@"
}

until_scanned() {
	wait_until 60 assert_scanned "$1" || { cat "$BATS_TEST_TMPDIR/scanned"; return 1; }
}

@test "a peer that closed is in FIN_WAIT_2, and forgets when its timer ends" {
	make_in_namespace read
	until_scanned 'length == 1 and .[0].peer_state == "FIN_WAIT_2"'
	until_scanned 'length == 1 and .[0].peer_state == "forgotten"'
	run "$sockleak" scan
	[[ $output == *"CLOSE_WAIT 127.0.0.1:$port <- "*". Unread: 0 bytes. Forgotten by its peer."* ]]
}

@test "a peer that only shut its write side is in FIN_WAIT_2 for as long as it likes" {
	make_in_namespace half_closed
	until_scanned 'length == 1 and .[0].age_ms > 6000'
	assert_scanned '.[0].peer_state == "FIN_WAIT_2"'
	run "$sockleak" scan
	[[ $output == *"CLOSE_WAIT 127.0.0.1:$port <- "*". Unread: 0 bytes. Its peer is in FIN_WAIT_2."* ]]
}

@test "the side that accepted is known to have forgotten, too" {
	make_in_namespace connected
	until_scanned 'length == 1 and .[0].peer_state == "forgotten"'
}

@test "where the peer's address is in use again nothing is claimed of the peer" {
	make_in_namespace successor
	assert_scanned 'length == 1 and .[0].peer_state == "unknown"'
}

is_elsewhere() {
	[ "$(readlink "/proc/$1/ns/net")" != "$(readlink "/proc/$$/ns/net")" ]
}

@test "nothing is claimed of a peer in another network" {
	make_in_namespace read 0.0.0.0
	other=$pid
	nsenter -t "$other" -n sh -c 'ip link add here type veth peer name there &&
		ip address add 192.0.2.1/30 dev here && ip link set here up' || skip "no veth here"
	unshare -n sleep 600 3>&- &
	peers=$!
	wait_until 60 is_elsewhere "$peers"
	nsenter -t "$other" -n ip link set there netns "$peers"
	nsenter -t "$peers" -n sh -c 'ip address add 192.0.2.2/30 dev there && ip link set there up'
	nsenter -t "$peers" -n /usr/bin/python3 -c "
import socket
socket.create_connection(('192.0.2.1', $port)).close()"
	# It is in the accept queue of the listener; its peer's network ends.
	until_scanned 'any(.in_accept_queue)'
	kill "$peers"
	until_scanned 'map(select(.in_accept_queue)) | .[0].age_ms > 1500 and .[0].peer_state == "unknown"'
}

@test "--json=FILE writes both" {
	make_sockets unread
	run "$sockleak" scan --json="$BATS_TEST_TMPDIR/scan.json"
	[[ $output == *"127.0.0.1:$port <- "* ]]
	jq -e '.tool == "sockleak" and .version and .host and .grace_ms > 0 and .leaked >= 0' "$BATS_TEST_TMPDIR/scan.json"
	run "$sockleak" scan --json=/nowhere/scan.json
	[ "$status" -eq 2 ]
	[[ ${lines[-1]} == "sockleak: cannot open /nowhere/scan.json: No such file or directory" ]]
}

@test "no control character of a process's name reaches the terminal" {
	make_sockets renamed
	run "$sockleak" scan
	[[ $output == *'a\x1b[31mb (pid '"$pid"') holds 1 socket'* ]]
}

@test "wrong usage is one clear line and status 2" {
	local wrong
	for wrong in --grace=fast --grace=-1s --error-exitcode=256 --error-exitcode= --nonsense argument; do
		run "$sockleak" scan "$wrong"
		[ "$status" -eq 2 ] || { echo "$wrong: $status"; return 1; }
		[[ ${lines[0]} == "sockleak: scan: "* ]]
	done
	run "$sockleak" scan --help
	[ "$status" -eq 0 ]
	[[ $output == *Examples:* ]]
}
