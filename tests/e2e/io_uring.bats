#!/usr/bin/env bats
# What io_uring accepts no hook sees: the helper finds it.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	tmp=$BATS_TEST_TMPDIR
}

teardown() {
	exec 5>&- 6>&-
	[ -z "${host-}" ] || kill "$host" 2>/dev/null || true
}

@test "a socket that a ring accepted is a leak while the program runs, in the log and in list" {
	cat >"$tmp/host.c" <<-'C'
		#include "peer.h"
		#include <liburing.h>
		int main(void)
		{
			int listener = peer_listen();
			struct io_uring ring;
			struct io_uring_cqe *done;

			must(io_uring_queue_init(8, &ring, 0) == 0);
			io_uring_prep_accept(io_uring_get_sqe(&ring), listener, NULL, NULL, 0);
			must(io_uring_submit(&ring) == 1);
			printf("%d\n", peer_port(listener));
			fflush(stdout);
			must(io_uring_wait_cqe(&ring, &done) == 0 && done->res >= 0);
			return getchar();
		}
	C
	cc -std=gnu11 -D_GNU_SOURCE -Itests/lib -o "$tmp/host" "$tmp/host.c" -luring
	mkfifo "$tmp/in"
	mkdir -m 700 "$tmp/ledgers"
	LD_PRELOAD=$preloads SOCKLEAK_OPTIONS=grace=100ms:interval=20ms:log=$tmp/log:ledger=$tmp/ledgers \
		"$tmp/host" <"$tmp/in" >"$tmp/out" 3>&- &
	host=$!
	exec 6>"$tmp/in"
	wait_until 30 grep -qs . "$tmp/out"
	exec 5<>"/dev/tcp/127.0.0.1/$(cat "$tmp/out")"
	exec 5>&-
	wait_until 30 grep -qs "ERROR: sockleak: 1 socket left in CLOSE_WAIT" "$tmp/log"
	"$sockleak" list --verbose "$host" | grep -q "leak for"
}
