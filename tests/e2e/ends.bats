#!/usr/bin/env bats
# Ends at which another thread stands in the way of the report: what is known is told.

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

@test "a second thread that ends the process lets the first one finish its report" {
	build <<-'C'
		#include "guest.h"
		#include <pthread.h>
		#include <sys/stat.h>
		static void *end_too(void *log)
		{
			struct stat is;
			while (stat(log, &is) || !is.st_size)
				;
			_exit(0);
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
			for (int depth = 0; depth < 25; depth++)
				leak_at_depth(depth);
			must(!pthread_create(&thread, NULL, end_too, argv[argc - 1]));
			return 0;
		}
	C
	run -0 preloaded "log=$tmp/log" "$tmp/host" "$tmp/log"
	grep -q "SUMMARY: sockleak: 25 sockets leaked" "$tmp/log"
}

# stuck OPTIONS COMMAND...: the thread that looks stands still, with the looking its own
stuck() {
	build <<-'C'
		#include "guest.h"
		#include <sys/syscall.h>
		static _Atomic int n_asked;
		/* What the thread asks before its first look, and in it. */
		int clock_gettime(clockid_t clock, struct timespec *now)
		{
			if (clock == CLOCK_THREAD_CPUTIME_ID && ++n_asked == 2)
				for (;;)
					pause();
			return (int)syscall(SYS_clock_gettime, clock, now);
		}
		int main(int argc, char **argv)
		{
			struct pair pair = argc > 1 ? connected() : ended();
			if (argc == 1)
				read_to_end(pair.server);
			for (long until = now_ms() + PEER_WAIT_MS; n_asked < 2; pause_ms(1))
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
	[[ ${stderr_lines[0]} == *"WARNING: sockleak: a look at the sockets did not come to its end"* ]]
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
		#include <sys/syscall.h>
		static volatile bool is_armed;
		static volatile int n_arguments;
		/* In the look, and before anything is printed. */
		int clock_gettime(clockid_t clock, struct timespec *now)
		{
			if (is_armed && clock == CLOCK_REALTIME)
				raise(SIGUSR1);
			return (int)syscall(SYS_clock_gettime, clock, now);
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
