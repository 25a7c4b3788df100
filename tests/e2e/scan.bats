#!/usr/bin/env bats
# `sockleak scan` against sockets that tests/lib/sockets.py makes; `ss` is the witness.
# Other processes' sockets may be there too: every test looks at its own port.

bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	common_setup
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
	run "$sockleak" scan --verbose
	[[ $output == *"held by 6 descriptors of 2 processes: fd "* ]]
}

# row COLUMNS: what the table says of the port, blanks as one
row() {
	tr -s ' ' <<<"$output" | grep -xE "$1" || { echo "$output"; return 1; }
}

@test "a table has how many there are by process, listener or peer, and state" {
	make_sockets queue
	run -0 "$sockleak" scan --grace=0s
	[ "$(tr -s ' ' <<<"${lines[0]}")" = "PROCESS LISTENER OR PEER STATE SOCKETS LEAKED OLDEST" ]
	row "python3 \(pid $pid\) not accepted at 127.0.0.1:$port CLOSE_WAIT 2 2 [0-9.]+m?s"
	[[ $output != *"never accepted 2 sockets"* ]]
	# Columns stand one below the other.
	at=${lines[0]%%STATE*}
	its_row=$(grep -F "(pid $pid)" <<<"$output")
	[[ ${its_row:${#at}} == "CLOSE_WAIT "* ]]
	kill "$pid"
	make_sockets connected
	run -0 "$sockleak" scan --grace=100h
	row "python3 \(pid $pid\) to 127.0.0.1:[0-9]+ CLOSE_WAIT 1 0 [0-9.]+m?s"
	kill "$pid"
	make_sockets growing
	printf '\n\n' >&"${SOCKETS[1]}"
	wait_until 60 eval 'run -0 "$sockleak" scan --grace=0s :$port; row "python3 \(pid $pid\) at 127.0.0.1:$port CLOSE_WAIT 3 3 [0-9.]+m?s"'
	# So it stands in README.
	shown() { tr -s ' ' | sed -E 's/^[a-z0-9]+ \(pid [0-9]+/NAME (pid N/; s/([.]1):[0-9]+/\1:N/; s/ [0-9.]+m?(s|[0-9]+s)( or longer|$)/ AGE\2/'; }
	equal "$(sed -n '/^PROCESS  .*OLDEST$/,/never accepted/p' README.md | shown)" "$(shown <<<"$output")"
}

@test "process ids, names and ports say of what to tell" {
	make_sockets unread
	local first=$pid first_port=$port word
	make_sockets renamed
	peers=$first
	for word in "$first" ":$first_port" "python3 :1"; do
		# shellcheck disable=SC2086 # these are words
		run -0 "$sockleak" scan $word
		row "python3 \(pid $first\) at 127.0.0.1:$first_port CLOSE_WAIT 1 [01] [0-9.]+m?s"
		[[ $output != *"pid $pid"* ]]
	done
	# A peer's port, several words, a path.
	run -0 "$sockleak" scan ":$(ss -Htn state close-wait "sport = :$first_port" | sed 's/.*://; s/ //g')"
	row "python3 \(pid $first\) .*"
	run -0 "$sockleak" scan "$first" $'/a/b/a\e[31mb' "$pid"
	row "python3 \(pid $first\) .*"
	row "a.x1b\[31mb \(pid $pid\) .*"
	run -0 "$sockleak" scan --json "$first"
	jq -e --argjson pid "$first" '[.sockets[].holders[].pid] == [$pid]' <<<"$output"
	run -0 "$sockleak" scan $$
	equal "sockleak: 0 sockets whose peer is gone." "$output"
	run -2 "$sockleak" scan no_such_program
	equal "sockleak: scan: there is no process 'no_such_program' (see sockleak scan --help)" "$output"
}

# watched PATTERN: a line of the tables, blanks as one
watched() {
	tr -s ' ' <"$BATS_TEST_TMPDIR/watched" | grep -qxE "python3 \(pid $pid\) at 127.0.0.1:$port CLOSE_WAIT $1"
}

@test "--watch tells again and again, and what grew" {
	make_sockets growing
	"$sockleak" scan --watch=50ms ":$port" >"$BATS_TEST_TMPDIR/watched" 3>&- &
	peers=$!
	wait_until 60 watched '1 [01] [0-9.]+m?s 0'
	echo >&"${SOCKETS[1]}"
	wait_until 60 watched '2 [01] [0-9.]+m?s \+1'
	wait_until 60 watched '2 [01] [0-9.]+m?s 0'
	[[ $(head -1 "$BATS_TEST_TMPDIR/watched") =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}\ [0-9:]{8}$ ]]
	run ! grep -q GROWTH <(sed -n 2p "$BATS_TEST_TMPDIR/watched")
	kill "$pid"
	wait_until 60 watched '0 0 - -2'
}

@test "--stacks tells what each thread of a holder does now, and leaves it alone" {
	fifo=$BATS_TEST_TMPDIR/fifo
	mkfifo "$fifo"
	"$build/tests/fixtures/stuck_thread" <"$fifo" >"$BATS_TEST_TMPDIR/said" 3>&- &
	pid=$!
	exec 8>"$fifo"
	wait_until 60 grep -q ready "$BATS_TEST_TMPDIR/said"
	stuck=$(grep -n 'stuck here' tests/fixtures/stuck_thread.c | cut -d: -f1)
	run -0 "$sockleak" scan --stacks "$pid"
	[[ $output != *"cannot look at the threads of process $pid: Operation not permitted"* ]] || skip "ptrace is not permitted here"
	[[ $output == *"Threads of process $pid:"* ]]
	# Two threads wait for the lock, with one stack; the first one waits for input.
	row " thread [0-9]+ \(stuck_thread\) and 1 more:"
	row " wait_for_lock tests/fixtures/stuck_thread.c:$stuck"
	row " thread $pid \(stuck_thread\):"
	row " main tests/fixtures/stuck_thread.c:[0-9]+"
	equal 1 "$(grep -c wait_for_lock <<<"$output")"
	row "sockleak: 1 socket whose peer is gone: .*"
	exec 8>&-
	wait "$pid" || equal 7 $?
	pid=
}

@test "IPv6 is seen" {
	make_sockets unread ::1
	assert_scanned 'length == 1 and (.[0] | (.local | startswith("[::1]:")) and .unread_bytes == 5)'
}

@test "a socket that this system connected is seen, and shown as such" {
	make_sockets connected
	assert_scanned 'length == 1 and (.[0] | .listener == null and .holders[0].pid == $pid)'
	run "$sockleak" scan --verbose
	[[ $output == *"CLOSE_WAIT 127.0.0.1:$port -> 127.0.0.1:"* ]]
}

@test "those that died in an accept queue are shown with their listener" {
	make_sockets queue
	assert_scanned 'length == 2 and all(.in_accept_queue and .inode == null and .listener.waiting == 2
		and .holders[0].pid == $pid) and ([.[].unread_bytes] | sort) == [0, 2]'
	tests/lib/valid_json tests/lib/report.schema.json "$BATS_TEST_TMPDIR/all"
	run "$sockleak" scan --verbose
	[[ $output == *"python3 (pid $pid) never accepted 2 sockets whose peer is gone, listening on 127.0.0.1:$port:"* ]]
}

@test "what died in the accept queue of a listener stands in one group, whatever its age" {
	make_sockets queues
	run -0 "$sockleak" scan --verbose
	[ "$(grep -c "(pid $pid) never accepted 3 sockets" <<<"$output")" -eq 2 ] || { echo "$output"; false; }
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

@test "sockets of MPTCP that have one cookie are shown, each of them" {
	[ "$(cat /proc/sys/net/mptcp/enabled 2>/dev/null)" = 1 ] || skip "this kernel has no MPTCP"
	make_sockets mptcp_of_known_listener
	assert_scanned 'length == 2 and ([.[].inode] | unique | length) == 2'
}

@test "grace decides what is a leak, and --error-exitcode says so" {
	make_sockets unread
	run "$sockleak" scan --verbose --grace=100h --error-exitcode=7
	[ "$status" -eq 0 ]
	[[ $output == *"127.0.0.1:$port <- "*" (fd "*"), pending for "* ]]
	run "$sockleak" scan --verbose --grace=0ms --error-exitcode=7
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
	as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups /proc/self/fd/9 scan --verbose)
	scanned=$("${as_nobody[@]}" --json)
	jq -e --arg tail ":$port" <<<"$scanned" '.unseen_processes > 0 and
		([.sockets[] | select(.local | endswith($tail))] | length == 1 and
		(.[0] | .holders == [] and .uid == 0 and .unread_bytes == 5 and .age_ms != null))'
	run "${as_nobody[@]}"
	[ "$status" -eq 0 ]
	[[ $output == *"127.0.0.1:$port <- "*" (uid 0), "* ]]
	[[ $output == *" may not be looked at by this user."* ]]
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
	run "$sockleak" scan --verbose
	[[ $output == *"CLOSE_WAIT 127.0.0.1:$port <- "*". Unread: 0 bytes. Forgotten by its peer."* ]]
}

@test "a peer that only shut its write side is in FIN_WAIT_2 for as long as it likes" {
	make_in_namespace half_closed
	until_scanned 'length == 1 and .[0].age_ms > 6000'
	assert_scanned '.[0].peer_state == "FIN_WAIT_2"'
	run "$sockleak" scan --verbose
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
	run "$sockleak" scan -v --json="$BATS_TEST_TMPDIR/scan.json"
	[[ $output == *"127.0.0.1:$port <- "* ]]
	jq -e '.tool == "sockleak" and .version and .host and .grace_ms > 0 and .leaked >= 0' "$BATS_TEST_TMPDIR/scan.json"
	tests/lib/valid_json tests/lib/report.schema.json "$BATS_TEST_TMPDIR/scan.json"
	run "$sockleak" scan --json=/nowhere/scan.json
	[ "$status" -eq 2 ]
	[[ ${lines[-1]} == "sockleak: cannot open /nowhere/scan.json: No such file or directory" ]]
}

@test "no control character of a process's name reaches the terminal" {
	make_sockets renamed
	run "$sockleak" scan --verbose
	[[ $output == *'a\x1b[31mb (pid '"$pid"') holds 1 socket'* ]]
}

@test "wrong usage is one clear line and status 2" {
	local wrong
	for wrong in --grace=fast --grace=-1s --error-exitcode=256 --error-exitcode= --nonsense --watch=0 --watch=x \
		:0 :65536 :x : "" / no_such_program 2147483647 99999999999; do
		run "$sockleak" scan "$wrong"
		[ "$status" -eq 2 ] || { echo "$wrong: $status"; return 1; }
		[[ ${lines[0]} == "sockleak: scan: "* ]]
	done
	run "$sockleak" scan --help
	[ "$status" -eq 0 ]
	[[ $output == *Examples:* ]]
}
