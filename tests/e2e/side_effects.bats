#!/usr/bin/env bats
# Rules of a guest, each broken once in a program that would show it.  What the calls
# themselves give is in calls.bats, signals, children and the end are in same_as_bare.bats,
# sandboxes in sandbox.bats.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	rules=$fixtures/guest_side_effects
	tmp=$BATS_TEST_TMPDIR
}

# same_case CASE: with the helper thread and without, with a ledger for its questions
same_case() {
	same_both_with_ledger interval=1ms "$rules" "$1"
}

@test "a socket is forgotten before it is closed: its number may be another's before the close is over" {
	same_case number-is-taken-during-a-close
}

@test "main() finds no error number and no error of the loader that is ours" {
	same_case starts
}

@test "the environment is what the program was given" {
	same_case says-its-environment
	run -0 preloaded log=none:thread=no printenv LD_PRELOAD SOCKLEAK_OPTIONS
	[ "$output" = "$preloads"$'\n'log=none:thread=no ]
}

@test "what is closed past us, by other handles of the C library, is never reported" {
	same_case closes-past-us
}

@test "what daemon() replaces inside the C library is never reported" {
	same_case becomes-a-daemon
}

@test "a busy socket that is closed by putting another in its place is gone" {
	same_case is-closed-by-replacing
}

@test "a look takes away neither the pending error, nor a byte, nor the end of stream" {
	same_case error-waits-for-the-host
}

@test "a look holds no socket open: the FIN of a close leaves at once" {
	same_case fin-leaves-at-once
}

@test "a close is the last one, though a look has the socket in hand: it lingers" {
	needs_strace
	# The looks ask TCP_INFO and take their time over it; the program does not.
	run -0 env SOCKLEAK_OPTIONS=log=none:interval=1ms strace -f -qq -o "$tmp/trace" \
		-e trace=getsockopt -e inject=getsockopt:delay_exit=10000 \
		-E LD_PRELOAD="$preloads" "$rules" every-end-lingers
	[ "$output" = "lingered: 3" ]
	grep -q getsockopt "$tmp/trace"
}

@test "what the program asks of the library leaves errno alone" {
	same_case questions-leave-errno
}

@test "the helper looks the more rarely the more there is to look at" {
	run -0 preloaded interval=1ms "$rules" helper-is-cheap
	[ "$output" = "less than a twentieth of a second: 1" ]
}

@test "no call waits for a thread that sits in dl_iterate_phdr, in new threads neither" {
	same_case calls-beside-the-loader
}

@test "what the destructor of a thread's key closes is no leak" {
	same_case closes-in-a-key
}

@test "what the destructor of a library closes, after everybody's, is no leak" {
	without_runtime "its runtime must come first"
	cat >"$tmp/late.c" <<-'C'
		#include "peer.h"
		static int fd;
		void keep(void)
		{
			int listener = peer_listen(), client = peer_connect(listener);
			fd = peer_accept(listener);
			peer_close(client);
			read_to_end(fd);
			peer_close(listener);
		}
		__attribute__((destructor)) static void end(void)
		{
			printf("late: %d\n", close(fd));
		}
	C
	cc -std=gnu11 -D_GNU_SOURCE -Itests/lib -shared -fPIC -o "$tmp/liblate.so" "$tmp/late.c"
	echo 'void keep(void); int main(void) { keep(); return 0; }' |
		cc -x c -o "$tmp/host" - -L"$tmp" -Wl,--no-as-needed -llate -Wl,-rpath,"$tmp"
	same thread=yes "$tmp/host"
	same thread=no "$tmp/host"
	# Also where the library is preloaded itself, on either side of ours.
	echo 'int main(void) { return 0; }' | cc -x c -o "$tmp/other" -
	sed 's/void keep(void)/__attribute__((constructor)) &/' "$tmp/late.c" |
		cc -x c -std=gnu11 -D_GNU_SOURCE -Itests/lib -shared -fPIC -o "$tmp/both.so" -
	for order in "$preloads:$tmp/both.so" "$tmp/both.so:$preloads"; do
		LD_PRELOAD=$order run -0 "$tmp/other"
		[ "$output" = "late: 0" ]
	done
}

@test "another library that stands in for the same calls is called by us, and calls us" {
	without_runtime "its runtime must come first"
	cat >"$tmp/between.c" <<-'C'
		#include <dlfcn.h>
		#include <stdio.h>
		#include <sys/socket.h>
		#include <unistd.h>
		static int n_accepted, n_read, n_closed;
		int accept(int fd, struct sockaddr *address, socklen_t *size)
		{
			n_accepted++;
			return ((int (*)())dlsym(RTLD_NEXT, "accept"))(fd, address, size);
		}
		ssize_t recv(int fd, void *to, size_t size, int flags)
		{
			n_read++;
			return ((ssize_t(*)())dlsym(RTLD_NEXT, "recv"))(fd, to, size, flags);
		}
		int close(int fd)
		{
			n_closed++;
			return ((int (*)())dlsym(RTLD_NEXT, "close"))(fd);
		}
		__attribute__((destructor)) static void say(void)
		{
			printf("%d %d %d\n", n_accepted, n_read, n_closed);
		}
	C
	cc -w -D_GNU_SOURCE -shared -fPIC -o "$tmp/between.so" "$tmp/between.c" -ldl
	cat >"$tmp/host.c" <<-'C'
		#include "peer.h"
		int main(void)
		{
			int listener = peer_listen(), client = peer_connect(listener);
			int server = accept(listener, NULL, NULL), kept;
			char byte;
			close(client);
			recv(server, &byte, 1, 0);
			close(server);
			client = peer_connect(listener);
			kept = accept(listener, NULL, NULL);
			close(client);
			return recv(kept, &byte, 1, 0) != 0;
		}
	C
	cc -w -std=gnu11 -D_GNU_SOURCE -Itests/lib -o "$tmp/host" "$tmp/host.c"
	for order in "$preloads:$tmp/between.so" "$tmp/between.so:$preloads"; do
		LD_PRELOAD=$order run -0 --separate-stderr "$tmp/host"
		[ "$output" = "2 2 3" ]
		# shellcheck disable=SC2154
		[[ $stderr == *"SUMMARY: sockleak: 1 socket leaked"*"5 opened, 3 closed"* ]]
	done
}

@test "the report is written to a high number, out of the way of the program's own" {
	needs_strace
	strace -f -e trace=write,openat,close,fcntl -o "$tmp/trace" -E LD_PRELOAD="$preloads" \
		-E SOCKLEAK_OPTIONS="thread=no:log=$tmp/log" "$fixtures/guest_processes" leaks
	grep -q 'SUMMARY: sockleak: 1 socket leaked' "$tmp/log"
	grep -oE 'write\([0-9]+, "==' "$tmp/trace" | tr -dc '0-9\n' >"$tmp/numbers"
	[ -s "$tmp/numbers" ]
	while read -r number; do
		((number >= 200))
	done <"$tmp/numbers"
}

@test "no netlink socket is made" {
	needs_strace
	for thread in yes no; do
		strace -f -e trace=socket -o "$tmp/trace" -E LD_PRELOAD="$preloads" \
			-E SOCKLEAK_OPTIONS="log=none:interval=1ms:thread=$thread" \
			"$fixtures/guest_processes" leaks
		grep -q 'socket(AF_INET' "$tmp/trace"
		run ! grep NETLINK "$tmp/trace"
	done
}

@test "the ledger is opened before the program gives up its rights" {
	[ "$(id -u)" = 0 ] || skip "only root has rights to give up"
	mkdir -m 700 "$tmp/ledger"
	run -0 preloaded "log=none:ledger=$tmp/ledger" "$rules" gives-up-its-rights
	"$build/sockleak" report --json "$tmp/ledger" >"$tmp/report.json"
	jq -e '.leaks | length == 1 and .[0].count == 1 and .[0].call == "accept4"' "$tmp/report.json"
}

@test "a child whose parent had a helper, too, may change its rights" {
	same_case changes-rights-in-a-child
}

@test "a child that is cloned as soon as the helper is made may change its rights" {
	same_case changes-rights-in-a-clone
}

@test "a socket that was inherited is found though fewer numbers are allowed than are asked for at once" {
	run -0 bash -c "ulimit -n 40; SOCKLEAK_OPTIONS=grace=20ms:thread=no LD_PRELOAD=$preloads \
		exec $fixtures/actor open 1 leave exec linger 100"
	[[ $output == *"1 socket left in CLOSE_WAIT"*"SUMMARY: sockleak: 1 socket leaked"* ]]
}

@test "a socket that was inherited is found behind a gap of 190 numbers" {
	cat >"$tmp/inherit.py" <<-'PY'
		import os, socket, sys
		listener = socket.create_server(("127.0.0.1", 0))
		client = socket.create_connection(listener.getsockname())
		server = listener.accept()[0]
		number = int(sys.argv[1])
		os.dup2(0, number - 190, inheritable=True)
		os.dup2(server.fileno(), number, inheritable=True)
		os.execv(sys.argv[2], sys.argv[2:])
	PY
	for number in 193 380; do
		run -0 env SOCKLEAK_OPTIONS=grace=20ms:thread=no python3 "$tmp/inherit.py" $number \
			/usr/bin/env "LD_PRELOAD=$preloads" "$fixtures/actor" linger 100
		[[ $output == *"1 socket left in CLOSE_WAIT"* ]]
	done
}

@test "the end of a program that had no socket and lived no longer than grace searches for none" {
	needs_strace
	strace -e trace=ppoll,write -o "$tmp/trace" -E LD_PRELOAD="$preloads" bash -c 'echo done'
	grep -q '^ppoll' "$tmp/trace"
	[ "$(grep -cE '^(ppoll|write\(1, "done)' <(sed '1,/^write(1, "done/d' "$tmp/trace"))" -eq 0 ]
}

@test "a socket that was opened past us is found at the end once it can be past grace" {
	run -0 preloaded grace=20ms:thread=no "$rules" opens-past-us
	[[ $output == *"1 socket left in CLOSE_WAIT"*"SUMMARY: sockleak: 1 socket leaked"* ]]
}

@test "a child is told of the end of what was opened past us, by a call that reads files, too" {
	for options in grace=60s grace=60s:thread=no; do
		run -0 preloaded "$options" "$rules" child-is-told-past-us
		[ "$(grep -c 'SUMMARY: sockleak: 1 socket leaked' <<<"$output")" -eq 2 ]
	done
}

@test "another file in libunwind's place since the start is not loaded" {
	[ "$(id -u)" = 0 ] && unshare -m true || skip "only root may put one there"
	local theirs
	theirs=$(strings "$library" | grep -m1 '/libunwind-.*\.so\.8$')
	printf '%s\n' '#include <unistd.h>' '__attribute__((constructor)) static void load(void)' \
		'{ _exit(77); }' |
		cc -w -x c -shared -fPIC -o "$tmp/another.so" -
	printf '%s\n' '#include "guest.h"' '#include <sys/mount.h>' \
		'void replace(void) { must(!mount(getenv("ANOTHER"), getenv("THEIRS"), 0, MS_BIND, 0)); }' \
		'void leak(void) { read_to_end(ended().server); }' |
		cc -x c -std=gnu11 -D_GNU_SOURCE -Ipreload -Itests/lib -shared -fPIC -o "$tmp/plugin.so" -
	cat >"$tmp/host.c" <<-'C'
		#include <dlfcn.h>
		int main(int argc, char **argv)
		{
			for (int i = 2; i < argc; i++)
				((void (*)(void))dlsym(dlopen(argv[1], RTLD_NOW), argv[i]))();
			return 0;
		}
	C
	cc -o "$tmp/host" "$tmp/host.c" -ldl
	export ANOTHER=$tmp/another.so THEIRS=$theirs
	run -0 unshare -m env LD_PRELOAD="$preloads" "$tmp/host" "$tmp/plugin.so" leak
	[[ $output == *"in leak+"* && $output != *"origin: short"* ]]
	run -0 unshare -m env LD_PRELOAD="$preloads" "$tmp/host" "$tmp/plugin.so" replace leak
	[[ $output == *"1 socket leaked at 1 place"* && $output == *"origin: short"* ]]
}
