#!/usr/bin/env bats
# What happens to a connection after one end has left it: the statements that documents and
# reports make, measured by examples/lifecycle in a network namespace of its own.

bats_require_minimum_version 1.5.0
load ../lib/report

# What the kernel has no room for it forgets at once: TIME_WAIT is not seen then.
no_room_for_time_wait() {
	local n most
	n=$(awk '$1 == "TCP:" { print $7 }' /proc/net/sockstat)
	most=$(cat /proc/sys/net/ipv4/tcp_max_tw_buckets)
	((n < most * 3 / 4)) || echo "$n connections in TIME_WAIT already, $most are kept"
}

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	export B=${B:-build}
	sanitizer_options
	no_room_for_time_wait >"$BATS_FILE_TMPDIR/kept"
	"$B/examples/lifecycle" >"$BATS_FILE_TMPDIR/namespace" &
	LIFECYCLE_NO_NAMESPACE=1 "$B/examples/lifecycle" >"$BATS_FILE_TMPDIR/loopback" &
	wait
}

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	line=$BATS_FILE_TMPDIR/namespace
}

needs_namespace() {
	! grep -q "^no network namespace" "$line" || skip "no network namespace is permitted here"
}

# field STORY WHAT NUMBER: of the line of the time line that begins with WHAT in the story:
# 1 ms, 2 client's state, 3 its bytes, 4 server's state, 5 its bytes, 6 segments
field() {
	awk -v story="$1" -v what="$2" -v number="$3" '
		/^[A-Z]/ { here = index($0, story) == 1; next }
		here && index(substr($0, 9), what) == 1 {
			ms = $1
			$0 = substr($0, 9 + 38)
			print number == 1 ? ms : $(number - 1)
			exit
		}' "$line"
}

# shows STORY WHAT CLIENT SERVER: the states of both ends in that line
shows() {
	local client server
	client=$(field "$1" "$2" 2)
	server=$(field "$1" "$2" 4)
	[[ $client == "$3" && $server == "$4" ]] || {
		echo "$1: $2: the client is $client, the server $server"
		cat "$line"
		return 1
	}
}

closes="The peer closes, we forget to"
shuts="The peer shuts its write side"
full="The queues are full"
round="The same, the other way round"
alive="Keepalive of two seconds"

# The part that needs no namespace: states alone.
walks_through_all_states() {
	shows "Both ends close" connected ESTABLISHED ESTABLISHED
	shows "Both ends close" "the client closes" FIN_WAIT_2 CLOSE_WAIT
	shows "Both ends close" "the server closes" TIME_WAIT -
	shows "$full" "the client closes" FIN_WAIT_1 ESTABLISHED # its FIN waits in the queue
	shows "$full" "the server reads to the end" FIN_WAIT_2 CLOSE_WAIT
	shows "$round" "the server shuts its write side" FIN_WAIT_2 LAST_ACK
	shows "$round" "the client reads to the end" CLOSE CLOSE
}

a_closed_peer_forgets_and_our_end_stays() {
	local ms
	shows "$closes" "FIN_WAIT_2 is over" - CLOSE_WAIT
	shows "$closes" "a while later" - CLOSE_WAIT
	ms=$(field "$closes" "FIN_WAIT_2 is over" 1)
	((ms >= 900 && ms < 10000)) || { echo "it took $ms ms of 1 s"; return 1; }
}

a_half_closed_peer_waits_without_limit() {
	local ms
	shows "$shuts" "2.5 times tcp_fin_timeout later" FIN_WAIT_2 CLOSE_WAIT
	ms=$(field "$shuts" "2.5 times tcp_fin_timeout later" 1)
	((ms >= 2500))
	shows "$shuts" "the server sends a byte" FIN_WAIT_2 CLOSE_WAIT
}

what_is_sent_to_the_forgetful_is_met_by_rst() {
	shows "$closes" "the server sends a byte: RST" - CLOSE
	shows "$closes" "and another: EPIPE" - CLOSE
}

keepalive_ends_close_wait() {
	shows "$alive" "a probe, answered in FIN_WAIT_2" FIN_WAIT_2 CLOSE_WAIT
	shows "$alive" "FIN_WAIT_2 is over" - CLOSE_WAIT
	shows "$alive" "a probe, answered by RST" - CLOSE
}

@test "both ends pass through every state of the life cycle, as sock_diag shows" {
	needs_namespace
	walks_through_all_states
}

@test "the same on the loopback of this network" {
	local kept
	kept=$(cat "$BATS_FILE_TMPDIR/kept")
	[[ -z $kept ]] || skip "$kept"
	line=$BATS_FILE_TMPDIR/loopback
	walks_through_all_states
	a_closed_peer_forgets_and_our_end_stays
	a_half_closed_peer_waits_without_limit
	what_is_sent_to_the_forgetful_is_met_by_rst
	keepalive_ends_close_wait
}

@test "FIN_WAIT_2 of a peer that closed lasts for tcp_fin_timeout, CLOSE_WAIT without end" {
	needs_namespace
	a_closed_peer_forgets_and_our_end_stays
}

@test "when FIN_WAIT_2 ends not a single segment is sent" {
	needs_namespace
	[[ $(field "$closes" "FIN_WAIT_2 is over" 6) == 0 ]]
	[[ $(field "$closes" "a while later" 6) == 0 ]]
}

@test "the next segment of the CLOSE_WAIT end is answered by RST, what follows by EPIPE" {
	needs_namespace
	what_is_sent_to_the_forgetful_is_met_by_rst
	[[ $(field "$closes" "the server sends a byte: RST" 6) == 2 ]] # the byte, the RST
	[[ $(field "$closes" "and another: EPIPE" 6) == 0 ]]
	[[ $(field "$closes" "the server closes" 6) == 0 ]]
}

@test "a peer that only shut its write side waits in FIN_WAIT_2 without a limit" {
	needs_namespace
	a_half_closed_peer_waits_without_limit
	[[ $(field "$shuts" "2.5 times tcp_fin_timeout later" 6) == 0 ]]
}

@test "keepalive is answered in FIN_WAIT_2, and after it turns CLOSE_WAIT into CLOSE" {
	needs_namespace
	keepalive_ends_close_wait
	[[ $(field "$alive" "a probe, answered in FIN_WAIT_2" 6) == 2 ]] # the probe, its ACK
	[[ $(field "$alive" "a probe, answered by RST" 6) == 2 ]]
}

@test "what stands in the queues is held as well: unread bytes, and bytes not taken" {
	needs_namespace
	(($(field "$full" "the client closes" 3) > 20000)) # of nobody's descriptor
	(($(field "$full" "the client closes" 5) > 20000))
	(($(field "$full" "the server reads to the end" 5) < 20000))
	(($(field "$round" "the server shuts its write side" 5) > 20000))
}

# peer_state_of FIXTURE PATTERN: what the report says of the peer
peer_state_of() {
	local file=$BATS_TEST_TMPDIR/report
	"$B/sockleak" run --quiet --json="$file" --grace=300ms -O interval=50ms -- \
		"$B/tests/fixtures/$1" "$2" >"$BATS_TEST_TMPDIR/out"
	jq -r '.leaks[].sockets[].peer_state' "$file"
}

@test "a report calls the peer's end forgotten where an RST came" {
	[[ $(peer_state_of corpus_dead reset-told) == forgotten ]]
	[[ $(peer_state_of corpus_dead heartbeat-to-the-gone) == forgotten ]]
}

@test "a report does not call a half-closed peer forgotten that is still there" {
	[[ $(peer_state_of corpus_half serves-and-falls-silent) =~ ^(FIN_WAIT_2|unknown)$ ]]
}

@test "a report does not call a peer forgotten whose FIN came a moment ago" {
	[[ $(peer_state_of corpus_untold forgotten-in-a-queue) =~ ^(FIN_WAIT_2|unknown)$ ]]
}
