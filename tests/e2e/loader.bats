#!/usr/bin/env bats
# Threads of the host that have the loader to themselves, for ever, when the report is due.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	tmp=$BATS_TEST_TMPDIR
	built="-std=gnu11 -D_GNU_SOURCE -Ipreload -Itests/lib"
}

# leaks_once OPTIONS COMMAND...: it comes to its end, and one leak is told of
leaks_once() {
	run -0 timeout 60 env LD_PRELOAD="$preloads" SOCKLEAK_OPTIONS="$1" "${@:2}"
	[[ $output == *"SUMMARY: sockleak: 1 socket leaked at 1 place"* ]] ||
		{ echo "$*: $output"; false; }
}

# A library whose constructor, if it is told to, leaks and never returns.
build_plugin() {
	cat >"$tmp/plugin.c" <<-'C'
		#include "peer.h"
		void leak(void) { leak_told(); }
		extern _Atomic int is_in_constructor;
		__attribute__((constructor)) static void begin(void)
		{
			const char *what = getenv("CONSTRUCTOR");
			if (!what)
				return;
			leak();
			if (!strcmp(what, "ends"))
				exit(0);
			for (is_in_constructor = 1;;)
				pause();
		}
	C
	# shellcheck disable=SC2086 # words
	cc $built -shared -fPIC -o "$tmp/plugin.so" "$tmp/plugin.c"
	cat >"$tmp/host.c" <<-'C'
		#include "peer.h"
		#include "sitter.h"
		#include <dlfcn.h>
		_Atomic int is_in_constructor;
		static void *load(void *path)
		{
			return dlopen(path, RTLD_NOW);
		}
		int main(int argc, char **argv)
		{
			pthread_t thread;
			if (argc > 2) {
				must(!pthread_create(&thread, NULL, load, argv[1]));
				while (!is_in_constructor)
					pause_ms(1);
				_exit(0);
			}
			void *plugin = load(argv[1]);
			must(plugin);
			void (*leak)(void) = (void (*)(void))dlsym(plugin, "leak");
			begin_to_sit();
			leak();
			return 0;
		}
	C
	# shellcheck disable=SC2086
	cc $built -rdynamic -o "$tmp/host" "$tmp/host.c" -ldl -lpthread
	[[ $(nm -D "$tmp/host") != *" U "@(accept|accept4|connect|listen)* ]]
}

@test "a thread that takes the loader's list right before we walk it takes no report" {
	cat >"$tmp/host.c" <<-'C'
		#include "guest.h"
		#include "sitter.h"
		#include <dlfcn.h>
		static _Atomic bool is_armed;
		static __thread bool sits;
		static void *sit_beside(void *nothing)
		{
			sits = true;
			return sit_in_loader(nothing);
		}
		/* Where it can get in before the walk, it does. */
		int pthread_mutex_trylock(pthread_mutex_t *mutex)
		{
			int (*real)(pthread_mutex_t *) = dlsym(RTLD_NEXT, "pthread_mutex_trylock");
			int result = real(mutex);
			pthread_t thread;
			if (!sits && atomic_exchange(&is_armed, false)) {
				/* The helper has no standard output. */
				if (gettid() == getpid())
					must(write(1, "taken\n", 6) == 6);
				must(!pthread_create(&thread, NULL, sit_beside, NULL));
				for (long until = now_ms() + 200;
				     sitter_step != 1 && now_ms() < until;)
					pause_ms(1);
			}
			return result;
		}
		int main(int argc, char **argv)
		{
			connected();
			sockleak_check();
			is_armed = true;
			read_to_end(ended().server);
			for (int tries = 0; argv[1][0] == 'y' && is_armed; tries++, pause_ms(1))
				must(tries < PEER_WAIT_MS);
			if (argv[1][0] == 'y')
				puts("taken"), fflush(stdout);
			if (argc > 2)
				_exit(0);
			return !argv[0];
		}
	C
	# shellcheck disable=SC2086
	cc $built -rdynamic -o "$tmp/host" "$tmp/host.c" -ldl -lpthread
	for thread in yes no; do
		for way in '' by_exit; do
			# shellcheck disable=SC2086
			leaks_once "thread=$thread" "$tmp/host" "$thread" $way
			[[ $output == *taken* ]]
		done
	done
}

@test "of a program that loads its connections late the report comes, too, while a thread sits in the list" {
	build_plugin
	for thread in yes no; do
		leaks_once "thread=$thread" "$tmp/host" "$tmp/plugin.so"
	done
}

@test "a leak is told of at the end that comes while a constructor runs" {
	build_plugin
	for thread in yes no; do
		leaks_once "thread=$thread" env CONSTRUCTOR=ends "$tmp/host" "$tmp/plugin.so"
		leaks_once "thread=$thread" env CONSTRUCTOR=stays "$tmp/host" "$tmp/plugin.so" by_exit
	done
}
