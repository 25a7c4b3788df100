#!/usr/bin/env bats
# One case for each row of calls.h: the call gives what it gives without the library, and
# the row does its job.  The cases are in tests/fixtures/calls/.

bats_require_minimum_version 1.5.0

load ../lib/guest

setup() {
	guest_setup
	calls=$fixtures/guest_calls
}

# rows: the names in calls.h, in order
rows() {
	sed -n 's/.*CALL(\([A-Za-z0-9_]*\), [A-Z]*).*/\1/p' preload/common/calls.h
}

@test "every row of the table of calls has a case" {
	diff <(rows) <("$calls")
	for name in $(rows); do
		nm "$calls" | grep -q " [TW] case_$name\$" || { echo "$name"; false; }
	done
}

@test "each call gives the same result, errno and number, and its row does its job" {
	same_cases "$calls" interval=1s
}

@test "each call gives the same result, errno and number without the helper thread" {
	same_cases "$calls" thread=no
}

# A process whose objects import no connect, listen or accept: there each name is looked
# up when it is first called.
late_host() {
	local at=$BATS_TEST_TMPDIR

	not_with thread "the host is built without it"
	cc -std=gnu11 -D_GNU_SOURCE -Itests/lib -Ipreload -w -shared -fPIC -o "$at/calls.so" \
		tests/fixtures/guest_calls.c
	cc -w -DPLUGIN="\"$at/calls.so\"" -o "$at/late" -x c - <<-'C'
		#include <dlfcn.h>
		int main(int argc, char **argv)
		{
			void *plugin = dlopen(PLUGIN, RTLD_NOW);
			return ((int (*)(int, char **))dlsym(plugin, "main"))(argc, argv);
		}
	C
	nm -D "$at/late" | grep -c "connect\|listen\|accept" | grep -qx 0
	calls=$at/late
}

@test "each call gives the same result, errno and number to a plug-in loaded late" {
	local differ=0

	late_host
	export GUEST_BOOKS_ARE_LATE=1
	for name in $("$calls"); do
		# The runtime's vfork() keeps one return address a thread: a child's vfork()
		# takes its parent's away.  And what the frames of a cancelled thread marked on
		# its stack is not taken away where the host is built without it.
		[[ $SAN != *address* || ( $name != vfork && $name != pthread_cancel ) ]] || continue
		same log=none:interval=20ms "$calls" "$name" || differ=1
	done
	[ $differ = 0 ]
}

@test "a plug-in loaded late leaks, and is found out" {
	late_host
	GUEST_BOOKS_ARE_LATE=1 run -0 preloaded interval=20ms "$calls" prctl
	[[ $output == *"why: eof-read"* ]]
}

@test "the library exports the calls, the header's functions, and what Node asks for" {
	{
		rows
		echo napi_register_module_v1
		echo node_api_module_get_api_version_v1
		sed -n 's/^SOCKLEAK_CALL([^,]*, \([a-z_]*\),.*/\1/p' preload/sockleak.h
	} | sort >"$BATS_TEST_TMPDIR/wanted"
	nm -D --defined-only "$library" | awk '{ print $NF }' | sort |
		diff "$BATS_TEST_TMPDIR/wanted" -
}

@test "the library needs nothing but libc.so.6" {
	plain_build "it needs the runtime, too"
	run -0 readelf -d "$library"
	[ "$(grep -c NEEDED <<<"$output")" = 1 ]
	[[ $output == *"NEEDED"*"[libc.so.6]"* ]]
}

@test "what the library is built with lets exceptions pass and protections stand" {
	readelf -lW "$library" | grep -q 'GNU_STACK.* RW '
	readelf -SW "$library" | grep -q '\.eh_frame_hdr'
	readelf -dW "$library" | grep -q 'BIND_NOW\|NOW'
	if [ "$(uname -m)" = x86_64 ]; then
		readelf -nW "$library" | grep -q SHSTK
	fi
	# Thread-local storage is of the kind that never allocates, and small.
	nm -D "$library" >"$BATS_TEST_TMPDIR/symbols"
	run ! grep __tls_get_addr "$BATS_TEST_TMPDIR/symbols"
	(($(readelf -lW "$library" | awk '$1 == "TLS" { print $6 }') < 256))
}

@test "a program of another C library starts with the library preloaded" {
	plain_build "the runtime needs glibc"
	type musl-gcc || skip "musl-gcc is not installed"
	cat >"$BATS_TEST_TMPDIR/musl.c" <<-'C'
		#include <stdio.h>
		#include <sys/socket.h>
		#include <unistd.h>
		int main(void)
		{
			int fd = socket(AF_INET, SOCK_STREAM, 0);
			printf("%d %d\n", fd, dup(fd));
			return close(fd);
		}
	C
	musl-gcc -o "$BATS_TEST_TMPDIR/musl" "$BATS_TEST_TMPDIR/musl.c"
	run -0 "$BATS_TEST_TMPDIR/musl"
	bare=$output
	LD_PRELOAD=$library run -0 "$BATS_TEST_TMPDIR/musl"
	[ "$output" = "$bare" ]
}
