#!/usr/bin/env bats
# Where a socket was opened, however the code that opened it was running; and what finding
# that out does not do to the host.

setup() {
	load ../lib/preload
	ways=$B/tests/fixtures/origin_ways
}

# opened_by NUMBER FRAME...: the only leak of that way was opened by these, innermost first
opened_by() {
	local number=$1 at=0 frame
	shift
	logged "" "$ways" "$number"
	for frame; do
		says "^    #$((at++)) .* in $frame\+0x" "$errors"
	done
	[ "$(count_of libsockleak)" -eq 0 ]
	[ "$(count_of 'SUMMARY: sockleak: 1 socket leaked at 1 place')" -eq 1 ]
}

@test "in a signal handler: through the signal to what it interrupted" {
	opened_by 0 way_plain from_handler
	says '    #[0-9]+ .* in raise_it\+'
	says '    #[0-9]+ .* in main\+'
}

@test "in a handler, and no connection but there: no thread was started, the exit unwinds" {
	cat >"$BATS_TEST_TMPDIR/host.c" <<-'C'
		#include "peer.h"
		#include <signal.h>
		#define NOINLINE __attribute__((noinline, noclone))
		static int listener;
		NOINLINE void from_handler(int signal)
		{
			int client = peer_connect(listener), server = peer_accept(listener);
			peer_close(client);
			read_to_end(server);
			__asm__ volatile("" : "+r"(signal));
		}
		NOINLINE int raise_it(void)
		{
			int status = raise(SIGUSR1);
			__asm__ volatile("" : "+r"(status));
			return status;
		}
		int main(void)
		{
			listener = peer_listen();
			signal(SIGUSR1, from_handler);
			return raise_it();
		}
	C
	cc -std=gnu11 -D_GNU_SOURCE -O2 -g -fomit-frame-pointer -Itests/lib \
		-o "$BATS_TEST_TMPDIR/host" "$BATS_TEST_TMPDIR/host.c"
	logged "" "$BATS_TEST_TMPDIR/host"
	says '    #[0-9]+ .* in from_handler\+'
	says '    #[0-9]+ .* in raise_it\+'
	[ "$(count_of 'origin: short')" -eq 0 ]
}

@test "in a handler on a stack of its own: up to the handler" {
	opened_by 1 way_plain from_handler
}

@test "in a coroutine on a stack of its own" {
	opened_by 2 way_plain from_coroutine
}

@test "in a thread" {
	opened_by 3 way_plain from_thread
}

@test "by the number of the system call" {
	opened_by 4 way_by_number from_number main
}

@test "through python, followed to its start" {
	not_with thread "its interceptors are the first frames"
	logged languages=no python3 - <<-'PYTHON'
		import socket
		ls = socket.create_server(("127.0.0.1", 0))
		c = socket.create_connection(ls.getsockname())
		s, _ = ls.accept()
		c.close()
		s.recv(1)
		s.detach()
	PYTHON
	says '    #0 .*/_socket\.|    #0 .* in sock_accept|    #0 .*python'
	says '    #[0-9]+ .* in _start\+|    #[0-9]+ .* in __libc_start_main'
}

@test "libunwind makes no pipe, asks no mincore and keeps no file in the host" {
	SOCKLEAK_OPTIONS='' strace -f -k -qq -e trace=pipe,pipe2,mincore,socketpair \
		-o "$BATS_TEST_TMPDIR/calls" -E LD_PRELOAD="$library" \
		"$ways" 2>"$errors"
	says 'SUMMARY: sockleak: 5 sockets leaked'
	grep -q 'mincore(' "$BATS_TEST_TMPDIR/calls" # ours: of what lies above a coroutine's frame
	! grep -E 'pipe|/libunwind' "$BATS_TEST_TMPDIR/calls"
}

@test "libunwind is not loaded into a program that makes no connections" {
	LD_PRELOAD=$library cat /proc/self/maps >"$BATS_TEST_TMPDIR/maps"
	grep -q libsockleak "$BATS_TEST_TMPDIR/maps"
	! grep -q libunwind "$BATS_TEST_TMPDIR/maps"
}

@test "without libunwind the caller is named all the same, and the origin said to be short" {
	unshare -rm true || skip "no user namespaces"
	file=$(pkg-config --variable=libdir libunwind)/libunwind-$(uname -m).so.8
	SOCKLEAK_OPTIONS=format=json LD_PRELOAD='' unshare -rm sh -c \
		"mount --bind /dev/null '$file' && exec env LD_PRELOAD='$library' '$ways' 4" 2>"$errors"
	grep '^{' "$errors" | jq -es 'map(select(.event == "leak")) | .[0] | .origin_note == "short" and
		.origin[0].function == "way_by_number"'
	[ "$(count_of "==WARNING: sockleak: libunwind cannot be loaded, so origins are short: $file\$")" = 1 ]
}

@test "a program that the loader was told to execute has its own name, and its functions'" {
	plain_build "the runtime cannot be preloaded into it"
	loader=$(readelf -l "$ways" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
	[ -x "$loader" ]
	export LD_PRELOAD=$library SOCKLEAK_OPTIONS=ledger=$BATS_TEST_TMPDIR
	program=$B/tests/fixtures/host_connections
	for path in "$program" "$(realpath "$program")"; do
		run "$loader" "$path" to-itself leaks
		[[ $output == *" in main+"*"/host_connections+"* ]]
	done
	unset LD_PRELOAD
	[[ $("$B/sockleak" report "$BATS_TEST_TMPDIR") == *" main "* ]]
}
