#!/usr/bin/env bats
# `sockleak list` looks at examples/http_server while it runs, which forgets the clients
# of pages that do not exist.

load ../lib/common

setup() {
	common_setup
	B=$build
	ledgers=$BATS_TEST_TMPDIR/ledgers
	mkdir "$ledgers"
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

# start: the server, with a ledger; sets pid and port.  COMMAND may stand before it;
# options, if set, are others than the usual ones.
start() {
	local announced=$BATS_TEST_TMPDIR/announced
	SOCKLEAK_OPTIONS=${options-grace=200ms:interval=50ms}:log=none:ledger=$ledgers \
		LD_PRELOAD=$B/libsockleak.so "$@" "$B/examples/http_server" >"$announced" 3>&- &
	pid=$!
	wait_until 60 grep -qs listening "$announced"
	port=$(sed 's/.*://' "$announced")
}

# host MAIN: a program that nobody looks at says what it holds; sets pid, port, first and
# second, and ends when 6 is closed
host() {
	local announced=$BATS_TEST_TMPDIR/announced
	cat - <(echo "$1") >"$BATS_TEST_TMPDIR/host.c" <<-'C'
		#include "base/system_call.h"
		#include "peer.h"
		#include <sys/syscall.h>
		#define CALL(name, a, b, c) guard_call(SYS_##name, a, (long)(b), c, 0, 0, 0)
	C
	cc -std=gnu11 -D_GNU_SOURCE -Ipreload -Itests/lib -o "$BATS_TEST_TMPDIR/host" "$BATS_TEST_TMPDIR/host.c"
	mkfifo "$BATS_TEST_TMPDIR/in"
	SOCKLEAK_OPTIONS=thread=no:grace=1ms:interval=1000s:log=none:ledger=$ledgers LD_PRELOAD=$B/libsockleak.so \
		"$BATS_TEST_TMPDIR/host" <"$BATS_TEST_TMPDIR/in" >"$announced" 3>&- &
	pid=$!
	exec 6>"$BATS_TEST_TMPDIR/in"
	wait_until 60 grep -qs listening "$announced"
	read -r _ port first second <"$announced"
}

leak() {
	curl -s -o "$BATS_TEST_TMPDIR/answer" "http://127.0.0.1:$port/nowhere"
}

listed() {
	list_all --json "$@" >"$BATS_TEST_TMPDIR/listed"
}

# A condition on the process of the server, as jq says it; accepted: its accepted sockets.
holds() {
	listed "$pid" && jq -e "def accepted: [.sockets[] | select(.call == \"accept\")];
		.processes | length == 1 and (.[0] | $1)" "$BATS_TEST_TMPDIR/listed" >/dev/null
}

# By the server's own scan: what is counted, and the origin, is as of that.
has_leaked() {
	holds '.opened == 2 and (accepted | length == 1 and .[0].verdict == "grace" and .[0].origin != null)'
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
	tests/lib/valid_json tests/lib/report.schema.json "$BATS_TEST_TMPDIR/listed"
	# The kernel agrees.
	fd=$(jq '.processes[0].sockets[1].fd' "$BATS_TEST_TMPDIR/listed")
	[[ $(ss -Htnp state close-wait "sport = :$port") == *"pid=$pid,fd=$fd)"* ]]
	run list_all --verbose
	[ "$status" -eq 0 ]
	[[ $output == *"$B/examples/http_server (pid $pid): 2 opened, 0 closed, 2 descriptors held; looked at "*" ago:"* ]]
	[[ $output == *"    fd $fd CLOSE_WAIT 127.0.0.1:$port <- 127.0.0.1:"*", leak for "*", opened "*" ago by accept in accept_client "*"http_server.c:$line"* ]]
}

@test "where nobody has looked since the peer went, the kernel is asked for its state and age" {
	options=thread=no:grace=200ms:interval=1000s
	start
	exec 5<>"/dev/tcp/127.0.0.1/$port"
	leak
	wait_until 60 holds 'accepted | length == 2 and .[1].verdict == "grace"'
	fd=$(jq '.processes[0].sockets[2].fd' "$BATS_TEST_TMPDIR/listed")
	[[ $(ss -Htnp state close-wait "sport = :$port") == *"pid=$pid,fd=$fd)"* ]]
	holds "accepted | all(.[]; .opened_ms > 0) and (.[0] | .state != \"CLOSE_WAIT\" and .verdict == null and .age_ms == null) and
		(.[1] | .state == \"CLOSE_WAIT\" and .local == \"127.0.0.1:$port\" and .age_ms >= 200 and .age_ms <= .opened_ms and
		.cookie != null and .inode != null and (.why == [\"eof-read\"] or .why == [\"never-read\"]))"
	tests/lib/valid_json tests/lib/report.schema.json "$BATS_TEST_TMPDIR/listed"
	run "$sockleak" list --error-exitcode=7 "$pid"
	[ "$status" -eq 7 ]
	exec 5<&-
}

@test "within its grace such a socket is pending" {
	options=thread=no:grace=1000s:interval=1000s
	start
	leak
	wait_until 60 holds 'accepted | length == 1 and .[0].state == "CLOSE_WAIT"'
	holds 'accepted[0] | .verdict == null and .kind == "close-wait" and .age_ms <= .opened_ms'
	run "$sockleak" list --verbose "$pid"
	[[ $output == *" CLOSE_WAIT 127.0.0.1:$port <- 127.0.0.1:"*", pending for "* ]]
}

@test "a number that means another socket by now is not taken for the one that was recorded" {
	host '
		int main(void)
		{
			int listener = peer_listen(), fds[2];
			struct sockaddr_storage at;
			socklen_t size = peer_address(&at, AF_INET, peer_port(listener));

			for (int i = 0; i < 2; i++)
				must(peer_connect(listener) >= 0 && (fds[i] = peer_accept(listener)) >= 0);
			/* Past libc, each becomes a socket whose peer has gone. */
			for (int i = 0; i < 2; i++) {
				int client = CALL(socket, AF_INET, SOCK_STREAM, 0);

				must(CALL(connect, client, &at, size) == 0);
				int another = CALL(accept4, listener, NULL, 0);

				must(CALL(dup3, another, fds[i], 0) == fds[i]);
				must(CALL(close, another, 0, 0) == 0 && CALL(close, client, 0, 0) == 0);
				await_fin(fds[i]);
			}
			printf("listening %d %d %d\n", peer_port(listener), fds[0], fds[1]);
			fflush(stdout);
			return getchar();
		}'
	for fd in "$first" "$second"; do
		[[ $(ss -Htnp state close-wait "sport = :$port") == *"pid=$pid,fd=$fd)"* ]]
	done
	holds "[.sockets[] | select(.fd == $first or .fd == $second)] | length == 2 and
		all(.[]; (.call | startswith(\"accept\")) and .verdict == null and .kind == null and .age_ms == null)"
	exec 6>&-
}

@test "the kernel is asked of a client's socket, too, and of IPv4 in an IPv6 socket" {
	host '
		int main(void)
		{
			int first, second, listener;

			peer_net = NET_MAPPED;
			listener = peer_listen();
			must((first = peer_connect(listener)) >= 0);
			peer_close(peer_accept(listener));
			must((second = peer_connect(listener)) >= 0);
			int server = peer_accept(listener);
			peer_close(second);
			await_fin(first);
			await_fin(server);
			printf("listening %d %d %d\n", peer_port(listener), first, server);
			fflush(stdout);
			return getchar();
		}'
	is_leak=".verdict == \"grace\" and .why == [\"never-read\"] and .age_ms <= .opened_ms"
	wait_until 60 holds ".sockets | map(select(.fd == $first or .fd == $second)) | length == 2 and
		all(.[]; $is_leak) and (map(.local) | contains([\"127.0.0.1:$port\"]))"
	exec 6>&-
}

@test "a socket whose peer is there is listed, and is no leak" {
	start
	exec 5<>"/dev/tcp/127.0.0.1/$port"
	wait_until 60 holds 'accepted | length == 1 and .[0].verdict == null and .[0].age_ms == null and .[0].local == null'
	run "$sockleak" list --verbose --error-exitcode=7 "$pid"
	[ "$status" -eq 0 ]
	[[ $output == *" ESTABLISHED ? <- 127.0.0.1:"* ]] # its own address was not asked for yet
	exec 5<&-
	wait_until 60 holds 'accepted == [] and .closed == 1'
}

# tabled PATTERN: a row of the table, blanks as one
tabled() {
	run "$sockleak" list "$pid"
	tr -s ' ' <<<"$output" | grep -qxE " $1"
}

@test "a table has how many there are by listener or peer, state and place" {
	start
	leak
	leak
	leak
	line=$(grep -n 'accept4\?(' "$PWD/examples/http_server.c" | head -1 | cut -d: -f1)
	wait_until 60 tabled "at 127.0.0.1:$port CLOSE_WAIT 3 3 [0-9.]+m?s by accept in accept_client [^ ]*http_server.c:$line" ||
		{ echo "$output"; false; }
	tabled "- LISTEN 1 0 [0-9.]+m?s by socket in .*"
	tabled "LISTENER OR PEER STATE SOCKETS LEAKED OLDEST OPENED"
	tr -s ' ' <README.md | grep -qx ' LISTENER OR PEER STATE SOCKETS LEAKED OLDEST OPENED'
	# What is counted is as of the server's own scan.
	counted() {
		tabled "LISTENER OR PEER STATE SOCKETS LEAKED OLDEST OPENED" &&
			[[ ${lines[0]} == "$B/examples/http_server (pid $pid): 4 opened, 0 closed, 4 descriptors held; looked at "* ]]
	}
	wait_until 60 counted
	equal 5 "${#lines[@]}"
	exec 5<>"/dev/tcp/127.0.0.1/$port"
	wait_until 60 tabled "accepted (ESTABLISHED|not known yet) 1 0 [0-9.]+m?s by accept in accept_client .*"
	exec 5<&-
}

# two_hold: the parent has accepted three connections, the child has inherited the first
# and received the others, of which the parent keeps the second.
two_hold() {
	list_all --json >"$BATS_TEST_TMPDIR/listed" || return
	jq -e --argjson pid "$pid" --argjson child "$child" '
		[.processes[] | select(.pid == $pid or .pid == $child)] as $ours |
		[$ours[].sockets[] | select(.call == "accept4")] as $accepted |
		($accepted | map(.cookie) | unique | length) == 3 and
		($accepted | map([.opener_pid, (.holders | map(.pid))])) ==
			[[null, [$pid, $child]], [null, [$pid, $child]], [$pid, [$child]]] and
		($accepted | all(.origin != null and .origin_note == null and .opened_ms != 0)) and
		([$ours[] | .sockets | map(select(.call == "accept4")) | length] == [2, 1])
		' "$BATS_TEST_TMPDIR/listed"
}

# two_hold_in_text: the same
two_hold_in_text() {
	list_all --verbose >"$BATS_TEST_TMPDIR/text" || return
	grep -q ", held too by process $child (python3) as fd .*: ESTABLISHED.* ago by accept4 " "$BATS_TEST_TMPDIR/text" &&
		grep -qF "(2 listed with another process)" "$BATS_TEST_TMPDIR/text" &&
		grep -q " by accept4 .*, in process $pid" "$BATS_TEST_TMPDIR/text"
}

@test "a socket that two processes hold is listed once, with its opener's backtrace" {
	SOCKLEAK_OPTIONS=${options-grace=200ms:interval=50ms}:log=none:ledger=$ledgers \
		LD_PRELOAD=$B/libsockleak.so /usr/bin/python3 -c '
import array, os, socket, sys
here, there = socket.socketpair()
listener = socket.create_server(("127.0.0.1", 0))
clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]
def accept():
    return listener.accept()[0]
first = accept()
child = os.fork()
if not child:
    for client in clients:
        client.close()
    for _ in range(2):
        here.recvmsg(1, socket.CMSG_SPACE(4))
    here.recv(1)
    os._exit(0)
second, third = accept(), accept()
for accepted in second, third:
    there.sendmsg([b"f"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [accepted.fileno()]))])
third.close()
here.close()
print(child, flush=True)
there.recv(1)' >"$BATS_TEST_TMPDIR/said" 3>&- &
	pid=$!
	wait_until 60 grep -qs . "$BATS_TEST_TMPDIR/said"
	child=$(<"$BATS_TEST_TMPDIR/said")
	wait_until 60 two_hold
	wait_until 60 two_hold_in_text
	kill "$child"
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
	[[ $output == *"sockleak: "*" processes may not be looked at by this user." ]]
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

@test "a ledger that a process is only now making is none yet, and no error" {
	local unborn=$ledgers/1.2.0.sockleak
	head -c 60000 /dev/zero >"$unborn"
	/usr/bin/python3 -c 'import mmap, signal, sys
with open(sys.argv[1], "r+b") as file:
    mapped = mmap.mmap(file.fileno(), 0)
print("ready", flush=True)
signal.pause()' "$unborn" >"$BATS_TEST_TMPDIR/announced" 3>&- &
	pid=$!
	wait_until 60 grep -q ready "$BATS_TEST_TMPDIR/announced"
	run "$sockleak" list "$pid"
	[[ $output == "sockleak: process $pid keeps no ledger"* ]]
	run list_all
	[ "$status" -eq 0 ] || [[ $output != *"$ledgers"* ]] || { echo "$output"; return 1; }
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
