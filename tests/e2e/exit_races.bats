#!/usr/bin/env bats
# Ways to end: each one reports, also where another thread stands in the way of the report.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	tmp=$BATS_TEST_TMPDIR
}

# build: a host from standard input
build() {
	cat >"$tmp/host.c"
	cc -std=gnu11 -D_GNU_SOURCE -Ipreload -Itests/lib -rdynamic -o "$tmp/host" \
		"$tmp/host.c" -lpthread
}

@test "threads that end the process let the first one finish its report" {
	build <<-'C'
		#include "guest.h"
		#include <pthread.h>
		#include <sys/stat.h>
		static void (*const ways[])(int) = {exit, quick_exit, _exit};
		static void (*way_of_others)(int);
		static void *end_too(void *log)
		{
			struct stat is;
			while (stat(log, &is) || !is.st_size)
				;
			way_of_others(0);
			return log;
		}
		static NOINLINE int leak_at_depth(int depth)
		{
			int fd = depth ? leak_at_depth(depth - 1) : ended().server;
			if (!depth)
				read_to_end(fd);
			__asm__ volatile("" : "+r"(fd)); /* no tail call */
			return fd;
		}
		int main(int argc, char **argv)
		{
			pthread_t thread;
			must(argc == 4);
			for (int depth = 0; depth < 25; depth++)
				leak_at_depth(depth);
			way_of_others = ways[atoi(argv[3])];
			for (int i = 0; i < 8; i++)
				must(!pthread_create(&thread, NULL, end_too, argv[1]));
			ways[atoi(argv[2])](0);
		}
	C
	for first in 0 1 2; do
		for others in 0 1 2; do
			rm -f "$tmp/log"
			run -9 preloaded "exitcode=9:log=$tmp/log" "$tmp/host" "$tmp/log" $first $others
			grep -q "SUMMARY: sockleak: 25 sockets leaked" "$tmp/log"
		done
	done
}

@test "however a program ends, it reports, and exitcode holds" {
	without_runtime "the host has no runtime of its own"
	build <<-'C'
		#include "guest.h"
		#include <pthread.h>
		#include <sys/syscall.h>
		static const char *way;
		static void a_handler_ran(void)
		{
			must(write(1, "handler\n", 8) == 8);
		}
		static void *end(void *nothing)
		{
			if (strstr(way, "quick"))
				quick_exit(0);
			if (strstr(way, "256"))
				exit(256);
			exit(0);
			return nothing;
		}
		static void *go_last(void *main_thread)
		{
			pthread_join(*(pthread_t *)main_thread, NULL);
			return NULL;
		}
		int main(int argc, char **argv)
		{
			static pthread_t self, thread;
			must(argc == 2 && !atexit(a_handler_ran) && !at_quick_exit(a_handler_ran));
			way = argv[1];
			self = pthread_self();
			read_to_end(ended().server);
			if (strstr(way, "thread")) {
				must(!pthread_create(&thread, NULL, end, NULL));
				pthread_join(thread, NULL);
			}
			if (!strcmp(way, "last")) {
				must(!pthread_create(&thread, NULL, go_last, &self));
				pthread_exit(NULL);
			}
			if (!strcmp(way, "_exit"))
				_exit(0);
			if (!strcmp(way, "_Exit"))
				_Exit(0);
			if (!strcmp(way, "number"))
				syscall(SYS_exit_group, 0);
			if (!strcmp(way, "abort"))
				abort();
			if (strcmp(way, "return"))
				end(NULL);
			return 0;
		}
	C
	for thread in yes no; do
		for way in return exit exit_256 exit_thread quick quick_thread last _exit _Exit number; do
			[[ $way == [_n]* ]] && handlers= || handlers=$'handler\n'
			run -9 --separate-stderr preloaded "exitcode=9:thread=$thread" "$tmp/host" $way
			[ "$output" = "${handlers%$'\n'}" ]
			[[ $stderr == *"SUMMARY: sockleak: 1 socket leaked"* ]]
			run -9 "$build/sockleak" run --error-exitcode=9 --json="$tmp/report" -q -O "thread=$thread" \
				"$tmp/host" $way
			[ "$(jq -r '.processes[0].ended, .processes[0].leaked' "$tmp/report")" = $'exit\n1' ]
		done
		# By a signal it says nothing itself.
		run -134 preloaded "exitcode=9:thread=$thread" "$tmp/host" abort
		[ -z "$output" ]
		run -134 "$build/sockleak" run --error-exitcode=9 --json="$tmp/report" -q -O "thread=$thread" \
			"$tmp/host" abort
		[ "$(jq -r '.processes[0].ended, .processes[0].leaked' "$tmp/report")" = $'signal\n1' ]
	done
}

# stuck OPTIONS COMMAND...: the thread that looks stands still, with the looking its own
stuck() {
	build <<-'C'
		#include "guest.h"
		#include <dlfcn.h>
		#include <pthread.h>
		static _Atomic bool stands_still;
		/* By which the thread takes the loader's lock in its first look. */
		int pthread_mutex_trylock(pthread_mutex_t *mutex)
		{
			while (gettid() != getpid()) {
				stands_still = true;
				pause();
			}
			int (*next)(pthread_mutex_t *) = dlsym(RTLD_NEXT, "pthread_mutex_trylock");
			return next(mutex);
		}
		int main(int argc, char **argv)
		{
			struct pair pair = argc > 1 ? connected() : ended();
			if (argc == 1)
				read_to_end(pair.server);
			for (long until = now_ms() + PEER_WAIT_MS; !stands_still; pause_ms(1))
				must(now_ms() < until);
			return !argv[0];
		}
	C
	run "$1" --separate-stderr preloaded "${@:2}"
	[ -z "$output" ]
}

@test "where a look stands still the end says how many leaked, and why not where" {
	stuck -9 exitcode=9 "$tmp/host"
	[ "${#stderr_lines[@]}" = 2 ]
	[[ ${stderr_lines[0]} == *"WARNING: sockleak: a scan of the sockets did not come to its end"* ]]
	[[ ${stderr_lines[1]} == *"SUMMARY: sockleak: 1 socket leaked at 0 places"* ]]
	stuck -0 format=json "$tmp/host"
	[ "$(jq -r '.event, .leaked' <<<"${stderr_lines[1]}")" = $'summary\n1' ]
}

@test "where a look stands still and nothing leaked the end says nothing" {
	stuck -0 exitcode=9 "$tmp/host" connected
	[ -z "$stderr" ]
	stuck -0 exitcode=9:at_exit=grace "$tmp/host"
	[ -z "$stderr" ]
}

@test "where a look stands still a leak that may be suppressed changes no status" {
	echo "leak:connected" >"$tmp/rules"
	stuck -0 "exitcode=9:suppressions=$tmp/rules" "$tmp/host"
	[[ $stderr == *"did not come to its end"* && $stderr != *SUMMARY* ]]
}

@test "a handler that ends the program on top of sockleak_check() takes no report" {
	build <<-'C'
		#include "guest.h"
		#include <signal.h>
		static volatile bool is_armed;
		static volatile int n_arguments;
		/* Asked in the look. */
		size_t strlen(const char *text)
		{
			size_t n = 0;
			while (*(const volatile char *)&text[n])
				n++;
			if (is_armed)
				raise(SIGUSR1);
			return n;
		}
		static void end(int signal)
		{
			if (n_arguments > 1)
				_exit(signal - SIGUSR1);
			exit(0);
		}
		int main(int argc, char **argv)
		{
			n_arguments = argc;
			must(argv[0] && signal(SIGUSR1, end) != SIG_ERR);
			read_to_end(ended().server);
			is_armed = true;
			sockleak_check();
			return 1;
		}
	C
	for thread in yes no; do
		for by in "" _exit; do
			# shellcheck disable=SC2086 # a word or none
			run -9 preloaded "exitcode=9:format=json:thread=$thread" "$tmp/host" $by
			[[ $output == *'"event":"summary"'*'"leaked":1,'* ]]
		done
	done
}
