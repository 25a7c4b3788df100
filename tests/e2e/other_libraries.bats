#!/usr/bin/env bats
# Other libraries in the room: allocators and others that are preloaded too, runtimes of
# sanitizers, hosts that unwind by themselves, plug-ins bound past us, early constructors.

bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	B=$(realpath "${B:-build}")
	export B
	export D=$BATS_FILE_TMPDIR
	build host
}

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	without_runtime "the hosts choose their sanitizers themselves"
	library=$B/libsockleak.so
	export SOCKLEAK_OPTIONS=ledger=$BATS_TEST_TMPDIR
}

# build NAME [OPTION...]: the host, in the file $D/NAME
build() {
	local name=$1
	shift
	g++ -g -O1 -Wall -Wextra -Ipreload -Itests/lib -o "$D/$name" \
		tests/fixtures/other_libraries_host.cc "$@" -lpthread
}

# is_the_same PRELOAD BARE-PRELOAD COMMAND...: status and output are, and three sockets
# of one place are reported
is_the_same() {
	local preload=$1 bare=$2
	shift 2
	LD_PRELOAD=$bare "$@" >"$BATS_TEST_TMPDIR/bare"
	LD_PRELOAD=$preload "$@" >"$BATS_TEST_TMPDIR/preloaded" 2>"$BATS_TEST_TMPDIR/err" ||
		{ cat "$BATS_TEST_TMPDIR/err"; return 1; }
	diff "$BATS_TEST_TMPDIR/bare" "$BATS_TEST_TMPDIR/preloaded"
	reports '.leaks | length == 1 and .[0].count == 3 and .[0].call == "accept" and
		.[0].origin[0].function == "lose_client(int)"'
	grep -q 'SUMMARY: sockleak: 3 sockets leaked at 1 place; 411 opened, 408 closed; 0 missed, 0 dropped' \
		"$BATS_TEST_TMPDIR/err"
}

reports() {
	"$B/sockleak" report --json "$BATS_TEST_TMPDIR" >"$BATS_TEST_TMPDIR/json" &&
		jq -e "$1" "$BATS_TEST_TMPDIR/json" >/dev/null ||
		{ cat "$BATS_TEST_TMPDIR/json"; return 1; }
}

# both_orders LIBRARY: beside ours, it is in use and we find what we find
both_orders() {
	local other
	other=$(ldconfig -p | awk -v name="$1" '$1 == name { print $NF; exit }')
	[ -n "$other" ] || skip "$1 is not installed"
	is_the_same "$library:$other" "$other" "$D/host"
	rm "$BATS_TEST_TMPDIR"/*.sockleak
	is_the_same "$other:$library" "$other" "$D/host"
	grep -q "^malloc: $2" "$BATS_TEST_TMPDIR/preloaded"
	# One that starts children and threads of its own.
	for order in "$library:$other" "$other:$library"; do
		LD_PRELOAD=$order timeout 60 /usr/bin/python3 -c '
import subprocess, threading, urllib.request, http.server
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever).start()
for i in range(5):
    subprocess.run(["true"], check=True)
    urllib.request.urlopen("http://127.0.0.1:%d/" % server.server_port).read()
server.shutdown()
server.server_close()' 2>"$BATS_TEST_TMPDIR/err"
		if grep 'sockleak: ' "$BATS_TEST_TMPDIR/err"; then return 1; fi
	done
}

@test "jemalloc is preloaded too, before and behind" {
	both_orders libjemalloc.so.2 libjemalloc
}

@test "tcmalloc is preloaded too, before and behind" {
	both_orders libtcmalloc_minimal.so.4 libtcmalloc
}

@test "libeatmydata is preloaded too, before and behind" {
	both_orders libeatmydata.so libc
}

@test "a host with the address sanitizer runs with its runtime before us" {
	build asan -fsanitize=address
	local asan
	asan=$(realpath "$(g++ -print-file-name=libasan.so)")
	export ASAN_OPTIONS=detect_leaks=1
	is_the_same "$asan:$library" '' "$D/asan"
	# The command puts it there.
	"$B/sockleak" run --error-exitcode=9 --quiet -- "$D/asan" && return 1
	[ $? -eq 9 ]
	build asan_static -fsanitize=address -static-libasan
	rm "$BATS_TEST_TMPDIR"/*.sockleak
	is_the_same "$library" '' "$D/asan_static"
}

@test "a host with the thread sanitizer runs with us before its runtime" {
	build tsan -fsanitize=thread
	is_the_same "$library" '' "$D/tsan"
}

@test "a host with the undefined-behaviour sanitizer runs" {
	build ubsan -fsanitize=undefined -fno-sanitize-recover
	is_the_same "$library" '' "$D/ubsan"
}

@test "a host that is linked with nongnu libunwind keeps it, and its exceptions" {
	build nongnu -DUNWINDS -lunwind
	is_the_same "$library" '' "$D/nongnu"
	grep -q '^_Unwind_RaiseException: libunwind$' "$BATS_TEST_TMPDIR/preloaded"
}

@test "a host that is linked with LLVM's libunwind keeps it, and its exceptions" {
	local llvm
	llvm=$(ldconfig -p | awk '$1 == "libunwind.so.1" { print $NF; exit }')
	[ -n "$llvm" ] || skip "LLVM's libunwind is not installed"
	build llvm "$llvm"
	is_the_same "$library" '' "$D/llvm"
	grep -q '^_Unwind_RaiseException: libunwind$' "$BATS_TEST_TMPDIR/preloaded"
}

@test "a library that audits the loader sees each call, and sends it through the loader" {
	cat >"$D/audit.c" <<-'C'
		#define _GNU_SOURCE
		#include <link.h>
		unsigned la_version(unsigned version) { return version; }
		unsigned la_objopen(struct link_map *map, Lmid_t id, uintptr_t *cookie)
		{
			(void)map, (void)id, (void)cookie;
			return LA_FLG_BINDTO | LA_FLG_BINDFROM;
		}
		uintptr_t la_symbind64(Elf64_Sym *symbol, unsigned index, uintptr_t *from,
				       uintptr_t *to, unsigned *flags, const char *name)
		{
			(void)index, (void)from, (void)to, (void)flags, (void)name;
			return symbol->st_value;
		}
		#if defined __x86_64__
		Elf64_Addr la_x86_64_gnu_pltenter(Elf64_Sym *symbol, unsigned index,
						  uintptr_t *from, uintptr_t *to,
						  La_x86_64_regs *regs, unsigned *flags,
						  const char *name, long *frame_bytes)
		{
			(void)index, (void)from, (void)to, (void)regs, (void)flags, (void)name;
			*frame_bytes = 64;
			return symbol->st_value;
		}
		#endif
	C
	cc -shared -fPIC -o "$D/audit.so" "$D/audit.c"
	for options in interval=20ms thread=no; do
		LD_AUDIT=$D/audit.so LD_PRELOAD=$library SOCKLEAK_OPTIONS=$options run -7 \
			"$B/tests/fixtures/host_connections" to-itself leaks
		[[ $output == *"SUMMARY: sockleak: 1 socket leaked"* ]]
	done
}

@test "what a plug-in bound past us opens and closes makes no report untrue" {
	gcc -shared -fPIC -o "$D/plugin.so" -x c - <<-'C'
		#include <sys/socket.h>
		#include <unistd.h>
		int plugin_accept(int listener) { return accept(listener, 0, 0); }
		int plugin_close(int fd) { return close(fd); }
	C
	build plugged "-DPLUGIN=\"$D/plugin.so\"" -ldl
	"$D/plugged" >"$BATS_TEST_TMPDIR/bare"
	LD_PRELOAD=$library "$D/plugged" >"$BATS_TEST_TMPDIR/preloaded"
	diff "$BATS_TEST_TMPDIR/bare" "$BATS_TEST_TMPDIR/preloaded"
	grep -qx 'reused: 1' "$BATS_TEST_TMPDIR/preloaded"
	# One or both of what it lost is found; neither has an origin that is another's.
	reports '.leaks | length == 1 and .[0].count >= 1 and .[0].call == null and
		.[0].origin_note == "unknown"'
}

@test "what a constructor before ours opens is adopted, and found when it leaks" {
	gcc -shared -fPIC -Itests/lib -D_GNU_SOURCE -o "$D/early.so" -x c - <<-'C'
		#include "peer.h"
		__attribute__((constructor)) static void early(void)
		{
			char byte;
			int listener = peer_listen(), there = peer_connect(listener);
			int here = accept(listener, NULL, NULL);

			peer_close(there);
			peer_close(listener);
			printf("early: %zd\n", recv(here, &byte, 1, 0));
		}
	C
	LD_DEBUG=files SOCKLEAK_OPTIONS= LD_PRELOAD=$library:$D/early.so /bin/true 2>&1 | grep 'calling init' >"$D/order"
	grep -m1 -e early -e libsockleak "$D/order" | grep early
	# That its end was read we did not see: its age alone tells.
	SOCKLEAK_OPTIONS=grace=1ms:thread=no:interval=1000s:ledger=$BATS_TEST_TMPDIR \
		LD_PRELOAD=$library:$D/early.so "$D/host" >"$BATS_TEST_TMPDIR/out"
	grep -qx 'early: 0' "$BATS_TEST_TMPDIR/out"
	reports '[.leaks[] | select(.call == null)] | length == 1 and .[0].count == 1 and
		.[0].origin_note == "inherited" and .[0].sockets[0].verdict == "grace"'
	reports '[.leaks[] | select(.call == "accept")] | length == 1 and .[0].count == 3'
}
