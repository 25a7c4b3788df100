#!/usr/bin/env bats
# The system calls that a thread of the host makes for us: a connection that is served and
# closed costs none.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	plain_build "the runtime makes calls of its own"
	needs_strace
	cd "$BATS_TEST_TMPDIR"
}

# each_connection_makes PRELOADS LIFE [vfork|thread]: the calls of the host's first thread
# in $n connections, "NAME COUNT"; what happens less than 100 times, as when a place is new,
# falls out
each_connection_makes() {
	strace -qq -E LD_PRELOAD="$1" -E SOCKLEAK_OPTIONS="$options" \
		-o trace "$fixtures/guest_serves" "$n" "${@:2}"
	awk -F'(' '$1 == "getsid" { is_between = !is_between; next } is_between { n[$1]++ }
		END { for (name in n) if (n[name] >= 100) print name, n[name] }' trace | sort
}

# each_is_as_bare LIFE [vfork|thread]: with the helper, without it, with a ledger, and with
# the last use noted
each_is_as_bare() {
	options=log=none
	each_connection_makes "" "$@" >bare
	grep -Eqx "accept4? $n" bare
	for options in interval=1000s thread=no:interval=1000s interval=1000s:ledger=ledger \
		uses=yes:interval=1000s uses=yes:thread=no:interval=1000s; do
		each_connection_makes "$preloads" "$@" >preloaded
		diff bare preloaded
	done
}

@test "a healthy connection makes no system call that it does not make without the library" {
	mkdir -m 700 ledger
	n=200
	for life in used addressed ended shut reset copied closed-by-range beside-a-file; do
		each_is_as_bare $life
		each_is_as_bare $life thread
	done
	each_is_as_bare used vfork
	each_is_as_bare ended vfork
}

@test "nor does one of a hundred make one more, over 10,000 connections" {
	mkdir -m 700 ledger
	n=10000
	each_is_as_bare used
	each_is_as_bare ended
}
