# shellcheck shell=bash
# For suites that start a server in each test: `start_server` in the test or in setup,
# `stop_server` in teardown, which fails if the server leaves sockets behind, and says
# where it opened them.
#
#	load leaks
#	setup() { start_server ./server; }
#	teardown() { stop_server; }

# Where sockleak is; SOCKLEAK may name another one.
: "${SOCKLEAK:=sockleak}" "${SOCKLEAK_LIBRARY:=/usr/local/lib/sockleak/libsockleak.so}"
drain=20 # tenths of a second for a close that is on its way

# start_server PROGRAM...: preloads the library; sets server (its pid).
start_server() {
	ledgers=$BATS_TEST_TMPDIR/ledgers
	mkdir "$ledgers"
	SOCKLEAK_OPTIONS=grace=500ms:interval=100ms:log=none:ledger=$ledgers \
		LD_PRELOAD=$SOCKLEAK_LIBRARY "$@" >"$BATS_TEST_TMPDIR/server.out" 3>&- &
	server=$!
}

# Whether a connection of this port stands in CLOSE_WAIT (08); PORT is in hexadecimal.
has_close_wait() {
	local files=(/proc/net/tcp)
	[ ! -e /proc/net/tcp6 ] || files+=(/proc/net/tcp6)
	grep -qE "^ *[0-9]+: [0-9A-F]+:$1 [0-9A-F]+:[0-9A-F]+ 08 " "${files[@]}"
}

# stop_server [PORT]: a quick look at the port first.  Nothing waits where nothing is left.
stop_server() {
	local tenths port
	port=$(printf %04X "${1:-0}")
	for ((tenths = 0; tenths < drain; tenths++)); do
		has_close_wait "$port" || break
		sleep 0.1
	done
	kill -TERM "$server"
	wait "$server" || true
	"$SOCKLEAK" report --error-exitcode=1 --quiet "$ledgers" ||
		{ "$SOCKLEAK" report "$ledgers" && return 1; }
}
