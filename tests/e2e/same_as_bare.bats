#!/usr/bin/env bats
# The same program bare and with the library preloaded: the same output, results, errno,
# numbers and status.  Each sentence is a rule of a guest.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	signals=$fixtures/guest_signals
	processes=$fixtures/guest_processes
}

# same_case FIXTURE CASE...: with the helper thread and without, with a ledger
same_case() {
	local name differ=0

	for name in "${@:2}"; do
		same_both_with_ledger interval=20ms "$1" "$name" || differ=1
	done
	return $differ
}

# ---- signals ----

@test "blocked calls are interrupted and restarted as without us" {
	same_case "$signals" interrupted restarted
}

@test "timeouts of sockets run out in time" {
	same_case "$signals" timed-out
}

@test "no handler, no mask and no pending signal is ours" {
	same_case "$signals" untouched
}

@test "no signal of the process is taken by the helper" {
	same_case "$signals" not-stolen
}

@test "handlers on a small alternate stack may make, read, copy and end" {
	without_runtime "its frames do not fit on a small stack"
	same_case "$signals" on-a-small-stack
}

@test "a jump out of a blocked call leaves nothing held" {
	same_case "$signals" jumped-out
}

@test "the program dies of its own SIGPIPE as without us" {
	same_case "$signals" dies-of-sigpipe
}

@test "threads are cancelled in blocked calls, and the others go on: nothing was held" {
	without_runtime "the end of a cancelled thread is reported, bare too"
	same_case "$signals" cancelled
}

@test "a thread that begins to read while the helper is being made is cancelled there" {
	without_runtime "it has a thread of its own"
	same interval=20ms "$fixtures/guest_cancels" beside
	grep -qx cancelled "$BATS_TEST_TMPDIR/preloaded"
}

@test "what is no cancellation point stays none, the first connection too" {
	same_case "$signals" not-cancelled
}

# ---- exceptions ----

@test "C++ exceptions and cancellation pass through our frames" {
	without_runtime "the end of a cancelled thread is reported, bare too"
	same_both "$fixtures/guest_cxx"
}

@test "a C host's later C++ plug-in throws, and backtrace and _Unwind_* are theirs" {
	without_runtime "the end of a cancelled thread is reported, bare too"
	g++ -g -O1 -shared -fPIC -DPLUGIN -o "$BATS_TEST_TMPDIR/plugin.so" \
		tests/fixtures/guest_cxx.cc
	same_both "$fixtures/guest_host" nothing "$BATS_TEST_TMPDIR/plugin.so"
	same_both "$fixtures/guest_host" connects "$BATS_TEST_TMPDIR/plugin.so"
	grep -q '^backtrace: libc.so.6$' "$BATS_TEST_TMPDIR/preloaded"
	grep -q '^_Unwind_RaiseException: libgcc_s.so.1$' "$BATS_TEST_TMPDIR/preloaded"
}

# ---- the loader ----

@test "a plug-in with symbols of its own scope works, and so do we" {
	without_runtime "it refuses RTLD_DEEPBIND"
	g++ -g -O1 -shared -fPIC -DPLUGIN -o "$BATS_TEST_TMPDIR/plugin.so" \
		tests/fixtures/guest_cxx.cc
	same_both "$fixtures/guest_host" nothing "deep:$BATS_TEST_TMPDIR/plugin.so"
	same_both "$fixtures/guest_host" connects "deep:$BATS_TEST_TMPDIR/plugin.so"
}

@test "a library whose constructor opens sockets before ours has run works" {
	cat >"$BATS_TEST_TMPDIR/early.c" <<-'C'
		#include "guest.h"
		static struct pair early;
		__attribute__((constructor(101))) static void make(void)
		{
			early = ended();
			FILE *stream = fopen("/dev/null", "r");
			must(stream && !fclose(stream));
			must(dup2(early.server, 50) == 50 && !close(50));
		}
		void run_guest(void)
		{
			char byte;
			CALL(recv(early.server, &byte, 1, 0));
			books(guest_row(early.server).origin_kind == SL_ORIGIN_INHERITED);
			CALL(close(early.server));
			books(!is_held(early.server));
		}
	C
	cc -std=gnu11 -D_GNU_SOURCE -Ipreload -Itests/lib -shared -fPIC \
		-o "$BATS_TEST_TMPDIR/libearly.so" "$BATS_TEST_TMPDIR/early.c"
	cc -x c -o "$BATS_TEST_TMPDIR/host" - -L"$BATS_TEST_TMPDIR" -Wl,--no-as-needed \
		-learly -Wl,-rpath,"$BATS_TEST_TMPDIR" <<-'C'
		void run_guest(void);
		int main(void) { run_guest(); return 0; }
	C
	same_case "$BATS_TEST_TMPDIR/host" ""
}

@test "a plug-in whose constructor waits for a thread that opens a socket loads" {
	cat >"$BATS_TEST_TMPDIR/waits.c" <<-'C'
		#include "guest.h"
		#include <pthread.h>
		static void *works(void *nothing)
		{
			finish(ended());
			return nothing;
		}
		__attribute__((constructor)) static void wait_for_it(void)
		{
			pthread_t thread;
			must(!pthread_create(&thread, NULL, works, NULL));
			must(!pthread_join(thread, NULL));
		}
		void run_guest(void) { puts("loaded"); }
	C
	cc -std=gnu11 -D_GNU_SOURCE -Ipreload -Itests/lib -shared -fPIC \
		-o "$BATS_TEST_TMPDIR/waits.so" "$BATS_TEST_TMPDIR/waits.c"
	same_both "$fixtures/guest_host" nothing "$BATS_TEST_TMPDIR/waits.so"
	same_both "$fixtures/guest_host" connects "$BATS_TEST_TMPDIR/waits.so"
}

# ---- processes ----

@test "children that borrow our memory change nothing in our books" {
	same_case "$processes" vforked cloned spawned
}

@test "a real child has books of its own, however it was made" {
	same_case "$processes" forked
}

@test "what goes over exec keeps its number, and nothing of ours goes" {
	same_case "$processes" executed
}

@test "daemon() works, and the daemon is watched" {
	same_case "$processes" daemonised
}

@test "subprocess of Python passes what it is told to, and closes the rest" {
	type python3 || skip "python3 is not installed"
	cat >"$BATS_TEST_TMPDIR/children.py" <<-'PY'
		import os, socket, subprocess, sys
		listener = socket.create_server(("127.0.0.1", 0))
		client = socket.create_connection(listener.getsockname())
		server, _ = listener.accept()
		show = "import os; print(sorted(int(f) for f in os.listdir('/proc/self/fd'))[:-1])"
		for arguments in ({}, {"close_fds": False}, {"pass_fds": (server.fileno(),)}):
		    for _ in range(2):
		        done = subprocess.run([sys.executable, "-c", show], stdout=-1, **arguments)
		        print(done.returncode, done.stdout)
		print(server.fileno(), os.get_inheritable(server.fileno()))
		client.close()
		print(server.recv(1), server.fileno())
	PY
	same_both python3 "$BATS_TEST_TMPDIR/children.py"
}

@test "a program may close every number again and again" {
	same_case "$processes" closes-everything numbers-are-its-own
}

# ---- standard error ----

@test "a connection with the number of standard error gets no byte of ours" {
	run -0 preloaded interval=20ms "$processes" stderr-is-a-socket
	[[ $output == *"nothing came" ]]
	run -0 preloaded thread=no "$processes" stderr-is-a-socket
	[[ $output == *"nothing came" ]]
}

@test "a file put in the place of standard error stays empty" {
	run -0 preloaded interval=20ms "$processes" stderr-is-a-file
	[ "${lines[-1]}" = "0 bytes" ]
}

@test "a program that closes standard error gets the same numbers, and no line" {
	same_both "$processes" stderr-is-closed
	run -0 bash -c "exec 2>&-; LD_PRELOAD=$preloads $processes leaks; echo \$?"
	[ "$output" = 0 ]
}

@test "our own line kills nobody when its reader has gone" {
	run -0 bash -c "set -o pipefail; { LD_PRELOAD=$preloads $processes leaks 3>&1; } 2> >(exec true)"
	cat >"$BATS_TEST_TMPDIR/gone.py" <<-'PY'
		import os, signal, subprocess, sys
		r, w = os.pipe()
		os.close(r)
		print(subprocess.run(sys.argv[1:], stderr=w, restore_signals=True).returncode)
	PY
	run -0 python3 "$BATS_TEST_TMPDIR/gone.py" env LD_PRELOAD="$preloads" "$processes" leaks
	[ "$output" = 0 ]
}

@test "a full pipe for standard error holds the program up for no second" {
	local before=$SECONDS

	run -0 on_a_full_pipe env LD_PRELOAD="$preloads" "$processes" leaks
	[ "$output" = 0 ]
	((SECONDS - before <= 10))
}

# ---- the end ----

@test "main() may leave before its threads, by pthread_exit or by number" {
	not_with thread "its own thread outlives main()"
	same_case "$processes" main-leaves main-leaves-by-number
}

@test "exit from a thread, quick_exit and death by a signal are what they were" {
	same_case "$processes" worker-exits quick-exits dies
}

# ---- the helper ----

@test "no thread before the first connection, then one with a table of its own" {
	run -0 preloaded interval=20ms "$processes" threads
	[ "$output" = "with a connection: sockleak
with more: sockleak
its table has ours: -1
our table has ours: 1
in a child with a connection: sockleak" ]
}

@test "a program that makes no connection leaves no log and no ledger" {
	mkdir -m 700 "$BATS_TEST_TMPDIR/ledger"
	same "ledger=$BATS_TEST_TMPDIR/ledger:log=$BATS_TEST_TMPDIR/log" \
		sh -c 'ls / >/dev/null; echo done; echo error >&2; exit 3'
	same "ledger=$BATS_TEST_TMPDIR/ledger:log=$BATS_TEST_TMPDIR/log" true
	[ -z "$(ls "$BATS_TEST_TMPDIR/ledger")" ]
	[ ! -e "$BATS_TEST_TMPDIR/log" ]
}
