#!/usr/bin/env bats
# Programs in awkward positions: what once ended them, held them up or was untrue of them.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	regressions=$fixtures/guest_regressions
	tmp=$BATS_TEST_TMPDIR
}

# traced CALLS OPTIONS COMMAND...: what strace sees of it, preloaded, into $tmp/trace
traced() {
	strace -f -e signal=none -e trace="$1" -o "$tmp/trace" \
		-E LD_PRELOAD="$preloads" -E SOCKLEAK_OPTIONS="$2" "${@:3}"
}

# leaks_once OPTIONS NAME: one leak is told of, and no more
leaks_once() {
	run -0 preloaded "$1" "$regressions" "$2"
	[[ $output == *"SUMMARY: sockleak: 1 socket leaked at 1 place"* ]] ||
		{ echo "$1: $output"; false; }
}

@test "a bad address gives EFAULT, and is read by nobody but the kernel" {
	same_both "$regressions" bad-addresses
}

@test "children end while another thread of their parent sits in dl_iterate_phdr" {
	same_both "$regressions" forks-beside-the-loader
}

@test "exit and _exit come to an end while another thread sits in dl_iterate_phdr" {
	same_both "$regressions" exits-beside-the-loader
	same_both "$regressions" leaves-beside-the-loader
}

@test "a leak is told of at the end, and by sockleak_check(), while a thread sits in dl_iterate_phdr" {
	for thread in yes no; do
		leaks_once "thread=$thread" leaks-beside-the-loader
		leaks_once "thread=$thread" leaks-and-leaves-beside-the-loader
		leaks_once "thread=$thread" child-leaks-beside-the-loader
		[[ $output == *"child: exit 0 signal 0"* ]]
		leaks_once "thread=$thread" asks-beside-the-loader
		[[ $output == *"1, at once: 1"* ]]
	done
}

@test "standard error that is a file as large as it may be ends nobody" {
	not_with thread "its runtime writes a file when it starts"
	head -c 2048 /dev/zero >"$tmp/err"
	run -0 bash -c 'ulimit -f 2; LD_PRELOAD=$1 exec "$2" leaks 2>>"$3"' \
		- "$preloads" "$regressions" "$tmp/err"
	[ "$(stat -c %s "$tmp/err")" = 2048 ]
}

@test "a background job reports to a terminal that stops those who write to it" {
	run -0 tests/lib/terminal "expect:ended_with_0 end" bash -c \
		"set -m; stty tostop; LD_PRELOAD=$preloads $regressions leaks & wait \$!; echo ended with \$?"
	[[ $output == *"SUMMARY: sockleak: 1 socket leaked"* ]]
}

@test "a pipe that nobody reads is waited for once, however many places are told of" {
	without_runtime "fewer of its places are unwound in time"
	needs_strace
	# A file a thread: in one file the threads' lines interrupt each other.
	run -0 on_a_full_pipe strace -ff -e trace=ppoll -o "$tmp/trace" \
		-E LD_PRELOAD="$preloads" -E SOCKLEAK_OPTIONS=frames=128 "$regressions" many-places
	[ "$output" = 0 ]
	cat "$tmp"/trace.* >"$tmp/trace"
	# 80 places and the summary: each was asked for room.
	[ "$(grep -c 'events=POLLOUT.*Timeout' "$tmp/trace")" = 81 ]
	[ "$(grep -c 'events=POLLOUT.*tv_nsec=200000000.*Timeout' "$tmp/trace")" = 1 ]
}

@test "the end waits for unwinding that takes its time" {
	without_runtime "its larger frames make other places"
	needs_strace
	# libunwind's locks: 10,000 calls, 2 s.
	run -0 traced rt_sigprocmask "" --inject=rt_sigprocmask:delay_exit=200 \
		"$regressions" many-places
	[[ $output == *"SUMMARY: sockleak: 80 sockets leaked at 32 places"* ]]
}

@test "what was accepted unseen is no older than our finding it" {
	same_with_ledger interval=2ms "$regressions" accepts-unseen
}

@test "what was sent before the end was sent then, however long the end takes" {
	needs_strace
	run -0 traced prlimit64 thread=no --inject=prlimit64:delay_exit=200000 \
		"$regressions" answers-and-ends
	grep -q 'prlimit64.*DELAYED' "$tmp/trace"
	[ "$output" = "" ]
}

@test "quick_exit keeps its status and runs no handler of exit" {
	same log=none "$regressions" quick-exit-runs-none
}

@test "a first connection on top of an SA_NODEFER handler starts no thread there" {
	# Of its own printf there the host is told bare, too.
	TSAN_OPTIONS+=:report_signal_unsafe=0
	same interval=20ms "$regressions" first-in-a-nodefer-handler
}

@test "handlers that do not run keep no thread from starting" {
	not_with thread "its runtime has a thread of its own"
	run -0 preloaded interval=20ms "$regressions" first-beside-handlers
	[ "$output" = "2 threads" ]
}

@test "a program with much thread-local storage gets its helper, too" {
	not_with thread "its runtime has a thread of its own"
	cat >"$tmp/host.c" <<-'C'
		#include "guest.h"
		static __thread volatile char large[4 << 20];
		int main(void)
		{
			large[0]++;
			connected();
			printf("%d threads\n", guest_n_threads());
			return 0;
		}
	C
	cc -std=gnu11 -D_GNU_SOURCE -Ipreload -Itests/lib -o "$tmp/host" "$tmp/host.c"
	run -0 preloaded interval=20ms "$tmp/host"
	[ "$output" = "2 threads" ]
}

@test "a connection dissolved through one descriptor is so on its duplicate" {
	leaks_once grace=20ms:interval=5ms dissolves-by-a-duplicate
}

@test "what a program was told of a socket that it passed to itself holds for both descriptors" {
	needs_strace
	run -0 traced sendmsg "" --inject=sendmsg:delay_exit=300000 \
		"$regressions" receives-before-it-is-given
	[[ $output == *"SUMMARY: sockleak: 1 socket leaked at 1 place; 3 opened, 1 closed;"* ]]
}

@test "a dead socket that a program passed to itself is told of with its peer" {
	leaks_once "" passes-a-dead-one
	[[ $output == *"<-> 127.0.0.1:"* ]]
}

@test "after two forks at once somebody may still look" {
	leaks_once "" forks-twice-at-once
}

@test "a fork waits for a helper that is being started: its runtime may hold locks" {
	cat >"$tmp/host.c" <<-'C'
		#include "guest.h"
		#include <dlfcn.h>
		#include <pthread.h>
		#include <sys/wait.h>
		static pthread_mutex_t of_the_runtime = PTHREAD_MUTEX_INITIALIZER;
		static void *(*volatile begin)(void *);
		static volatile int n_begun;
		/* As a sanitizer does, which allocates before a thread begins. */
		void __sanitizer_set_report_path(const char *path) { (void)path; }
		static void *begins(void *argument)
		{
			pthread_mutex_lock(&of_the_runtime);
			n_begun++;
			pause_ms(20);
			pthread_mutex_unlock(&of_the_runtime);
			return begin(argument);
		}
		int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
				   void *(*run)(void *), void *argument)
		{
			__typeof__(&pthread_create) real = dlsym(RTLD_NEXT, "pthread_create");
			begin = run;
			int failed = real(thread, attributes, begins, argument);
			for (long until = now_ms() + PEER_WAIT_MS; !n_begun; pause_ms(1))
				must(now_ms() < until);
			return failed;
		}
		int main(void)
		{
			int status;
			connected();
			pid_t pid = fork();
			if (!pid)
				_exit(pthread_mutex_trylock(&of_the_runtime) ? 3 : 0);
			must(waitpid(pid, &status, 0) == pid);
			printf("%d begun, child %d\n", n_begun, WEXITSTATUS(status));
			return 0;
		}
	C
	cc -std=gnu11 -D_GNU_SOURCE -Ipreload -Itests/lib -rdynamic -o "$tmp/host" "$tmp/host.c"
	run -0 preloaded interval=20ms "$tmp/host"
	[ "$output" = "1 begun, child 0" ]
}

@test "a child with nothing to say leaves its parent's log where it is" {
	GUEST_LOG=$tmp/log run -0 preloaded "log=$tmp/log" "$regressions" children-end-first
	grep -q 'SUMMARY: sockleak: 1 socket leaked' "$tmp/log"
}

@test "a jump out of a look leaves the looking free" {
	needs_strace
	run -7 traced getsockopt thread=no:exitcode=7:log=none \
		--inject=getsockopt:signal=SIGCHLD "$regressions" jumps-out-of-a-look
}

@test "a socket that a vfork child opens leaves its parent's record alone" {
	for thread in yes no; do
		mkdir -m 700 "$tmp/$thread"
		GUEST_LEDGER=$tmp/$thread same "log=none:ledger=$tmp/$thread:thread=$thread" \
			"$regressions" vforked-child-opens
	done
}

@test "a close_range that a filter refuses leaves what it named in the books" {
	leaks_once "" close-range-is-refused
	leaks_once thread=no close-range-is-refused
	same log=none "$regressions" close-range-is-refused
}

@test "a child made by clone that lays a filter upon itself lives by it" {
	not_with thread "it takes the threads of the parent to run on in that child"
	same_both "$regressions" cloned-child-lays-a-filter
}

@test "a filter that could not be asked for is taken to be there" {
	same interval=20ms "$fixtures/guest_sandbox" filtered "$regressions" starts-without-numbers
}

# borrowed NUMBER: how often the helper did
borrowed() {
	grep -c "pidfd_getfd([0-9]*, $1, " "$tmp/trace" || true
}

@test "the helper borrows no descriptor that is no socket, and a listener seldom" {
	needs_strace
	mkdir -m 700 "$tmp/ledger"
	GUEST_LEDGER=$tmp/ledger run -0 --separate-stderr traced pidfd_getfd \
		"interval=2ms:log=none:ledger=$tmp/ledger" "$regressions" holds-a-file
	(($(borrowed 78) > 0))
	[ "$(borrowed 77)" = 0 ]
	read -r listener client <<<"$output"
	(($(borrowed "$client") > 2 * $(borrowed "$listener")))
}

@test "a child that touched nothing asks nothing of what it inherited" {
	needs_strace
	run -0 --separate-stderr traced getsockopt "" "$regressions" child-touches-nothing
	local child=$output
	grep -q 'getsockopt(' "$tmp/trace"
	grep -q "^$child " "$tmp/trace" # its end
	run ! grep "^$child .*getsockopt(" "$tmp/trace"
}

@test "_exit in a handler allocates nothing, although a plug-in's leak waits to be unwound" {
	without_runtime "the allocator is the runtime's"
	cat >"$tmp/plugin.c" <<-'C'
		#include "peer.h"
		void leak(void) { leak_told(); }
	C
	cat >"$tmp/host.c" <<-'C'
		#include <dlfcn.h>
		#include <signal.h>
		#include <stddef.h>
		#include <unistd.h>
		void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t);
		static volatile sig_atomic_t is_in_handler;
		static void told(void)
		{
			if (is_in_handler && write(1, "allocates in the handler\n", 25))
				is_in_handler = 0;
		}
		void *malloc(size_t size) { return told(), __libc_malloc(size); }
		void *calloc(size_t n, size_t size) { return told(), __libc_calloc(n, size); }
		static void end(int signal)
		{
			is_in_handler = signal;
			_exit(5);
		}
		int main(int argc, char **argv)
		{
			void *plugin = dlopen(argv[argc - 1], RTLD_NOW);
			((void (*)(void))dlsym(plugin, "leak"))();
			signal(SIGUSR1, end);
			return raise(SIGUSR1);
		}
	C
	cc -std=gnu11 -D_GNU_SOURCE -Itests/lib -shared -fPIC -o "$tmp/plugin.so" "$tmp/plugin.c"
	cc -o "$tmp/host" "$tmp/host.c" -ldl
	same log=none:thread=no "$tmp/host" "$tmp/plugin.so"
	run -5 preloaded thread=no "$tmp/host" "$tmp/plugin.so"
	[[ $output == *"SUMMARY: sockleak: 1 socket leaked"* ]]
}

@test "what is closed while the helper asks about it counts as dropped in no scan" {
	needs_strace
	mkdir -m 700 "$tmp/ledger"
	GUEST_LEDGER=$tmp/ledger STORM_MS=1000 run -0 traced getpeername \
		"log=none:interval=1ms:ledger=$tmp/ledger" --inject=getpeername:delay_exit=5000 \
		"$fixtures/guest_storms" counting
	[ "$output" = over ]
	grep -q 'getpeername.*DELAYED' "$tmp/trace"
}
