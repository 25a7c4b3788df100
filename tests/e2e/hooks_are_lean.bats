#!/usr/bin/env bats
# What runs in a thread of the host allocates nothing, prints nothing by stdio and waits
# for nobody.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	lean=$fixtures/guest_lean
}

@test "no call allocates more with the library than without" {
	without_runtime "the allocator is the runtime's"
	same_cases "$lean" interval=20ms
}

@test "no call allocates more with the library than without, nor without the thread" {
	without_runtime "the allocator is the runtime's"
	same_cases "$lean" thread=no:interval=1ms
}

@test "but the first connection: starting the helper allocates, for its thread and for libunwind" {
	without_runtime "the allocator is the runtime's"
	run -0 "$lean" first-connection
	bare=$output
	run -0 preloaded interval=1s "$lean" first-connection
	[ "$output" != "$bare" ]
	# Two allocations in the first connect, everything else as bare.
	[ "$(sed '0,/^connect(.*, 2$/s/, 2$/, 0/' <<<"$output")" = "$bare" ]
	same thread=no "$lean" first-connection
}

@test "the library calls no allocator, no stdio, no locale and no lock that waits" {
	nm -D --undefined-only "$library" >"$BATS_TEST_TMPDIR/undefined"
	run ! grep -E ' (malloc|calloc|realloc|free|f?printf|v?s?n?printf|f?puts|fwrite|fopen|fflush|write|open|strerror|setlocale|getenv|sem_.*|syslog|abort|__assert_fail)(@|$)' \
		"$BATS_TEST_TMPDIR/undefined"
	# What it does call of threads starts the helper, tries the locks of the loader, and
	# learns that main() left, on aarch64 where a stack ends, and what a Java thread
	# keeps of itself.
	run -0 sh -c "nm -D --undefined-only $library | grep -v _thread_db_ |
		grep -o 'pthread_[a-z_]*' | grep -v pthread_self | sort"
	[ "$output" = "$(printf '%s\n' pthread_attr_{destroy,init,setdetachstate,setstacksize} \
		pthread_create pthread_get_minstack pthread_getspecific \
		pthread_key_{create,delete} \
		pthread_mutex_{trylock,unlock} pthread_setspecific)" ]
}

@test "no call waits for the helper, wherever it stands still" {
	run -0 preloaded interval=1ms "$fixtures/guest_stopped"
	[ "$output" = "went on" ]
}
