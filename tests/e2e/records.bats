#!/usr/bin/env bats
# What is recorded, named and counted.

bats_require_minimum_version 1.5.0
load ../lib/preload

setup() {
	fixture=$B/tests/fixtures/guest_records
	sockleak=$B/sockleak
	tmp=$BATS_TEST_TMPDIR
	ledgers=$tmp/ledgers
	mkdir -m 700 "$ledgers"
}

# comment BYTES: one line of so many
comment() {
	printf '#%*s\n' $(($1 - 2)) ''
}

@test "a file of suppressions may be large, and its last rule counts" {
	{ comment 200000; printf 'leak:leaks_told\n'; } >"$tmp/rules"
	logged "suppressions='$tmp/rules'" "$fixture" leaks-told
	says_nothing
}

@test "a pattern of the suppressions is not cut" {
	# "leak:leaks_t" would end at 65,535 bytes.
	{ comment $((65535 - 12)); printf 'leak:leaks_to_another_program\n'; } >"$tmp/rules"
	logged "suppressions='$tmp/rules'" "$fixture" leaks-told
	says 'SUMMARY: sockleak: 1 socket leaked'
	# And of a file that is over the limit the last whole line is the last.
	{ comment $(((16 << 20) - 1 - 12)); printf 'leak:leaks_to_another_program\n'; } >"$tmp/rules"
	logged "suppressions='$tmp/rules'" "$fixture" leaks-told
	says 'WARNING: sockleak: the file of suppressions is too long, its end is ignored'
	says 'SUMMARY: sockleak: 1 socket leaked'
}

# The field exit_status of the one ledger.
exit_status() {
	od -An -td4 -j100 -N4 "$ledgers"/*.sockleak | tr -d ' '
}

@test "the status of a quick_exit() is recorded" {
	logged "log=none:ledger=$ledgers" "$fixture" ends-quickly || [ $? = 3 ]
	[ "$(exit_status)" = 3 ]
}

# traced OPTIONS CASE: what the program opens, reads and closes
traced() {
	strace -f -o "$tmp/trace" -e trace=openat,fcntl,pread64,close -E "SOCKLEAK_OPTIONS=$1" \
		-E "LD_PRELOAD=$(runtime_of "$fixture")$library" "$fixture" "$2" 2>"$errors"
}

# openings: how often it opened its own file
openings() {
	grep -c "openat(AT_FDCWD, \".*/guest_records\"" "$tmp/trace" || true
}

@test "names of many places are found in one reading of the symbol table" {
	local options
	for options in thread=no interval=50ms:grace=100ms; do
		traced "$options" leaks-told
		one=$(openings)
		traced "$options" leaks-at-twenty-places
		[ "$(count_of ' in place_[0-9]\+0x')" -ge 40 ]
		says 'SUMMARY: sockleak: 20 sockets leaked at 20 places'
		many=$(openings)
		echo "$options: $one, $many"
		((one > 0 && many <= one + 6))
	done
}

@test "no name is looked up where nothing is printed" {
	traced log=none leaks-at-twenty-places
	[ "$(openings)" = 0 ]
	mkdir -m 700 "$tmp/other"
	traced "log=none:ledger=$tmp/other" leaks-at-twenty-places
	[ "$(openings)" = 0 ]
}

@test "no file is kept open from one piece of it to the next" {
	traced thread=no leaks-at-twenty-places
	# Every reading of a piece is between the opening of its descriptor and the close.
	# Our descriptors are above those of the loader.
	awk '/ pread64\([0-9][0-9][0-9]+/ { match($0, /pread64\([0-9]+/)
	                                   fd = substr($0, RSTART + 8, RLENGTH - 8)
	                                   n++; if (last[fd]) bad = 1; last[fd] = 1 }
	     / close\(/ { match($0, /close\([0-9]+/); delete last[substr($0, RSTART + 6, RLENGTH - 6)] }
	     END { for (fd in last) bad = 1; exit bad || n < 5 }' "$tmp/trace"
}

# unread CASE: what the text, its JSON and the report of the ledger say, in a line
unread() {
	local dir
	dir=$(mktemp -d "$tmp/XXXXXX")
	logged "at_exit=all:ledger=$dir" "$fixture" "$1"
	printf '%s|' "$(sed -nE 's/.*(Unread: |unread, behind )(.*)\.$/\2/p' "$errors")"
	logged at_exit=all:format=json "$fixture" "$1"
	printf '%s|' "$(jq -c 'select(.event == "leak") | [.unread_bytes, .sockets[0].unread_bytes]' "$errors")"
	"$sockleak" report --quiet --json="$tmp/json" "$dir"
	tests/lib/valid_json tests/lib/report.schema.json "$tmp/json"
	jq -c '.leaks[0] | [.unread_bytes, .sockets[0].unread_bytes]' "$tmp/json"
}

# is EXPECTED GOT
is() {
	[ "$1" = "$2" ] || { printf 'expected: %s\ngot:      %s\n' "$1" "$2"; return 1; }
}

@test "how many bytes are unread is said where it is known" {
	is '5 bytes|[5,5]|[5,5]' "$(unread leaks-with-five-unread)"
	is '|[0,0]|[0,0]' "$(unread leaks-with-none-unread)"
}

@test "under an inherited filter unread bytes are not known, unless the queue is empty" {
	is 'not known|[null,null]|[null,null]' "$(unread under-a-filter-with-five-unread)"
	is '|[0,0]|[0,0]' "$(unread under-a-filter-told)"
}

@test "the end of stream of MPTCP is no unread byte" {
	is '5 bytes|[5,5]|[5,5]' "$(unread on-mptcp-with-five-unread)"
	is '|[0,0]|[0,0]' "$(unread on-mptcp-with-none-unread)"
}

@test "of a thousand connections that a child may hold none is missed" {
	logged interval=20ms "$fixture" closes-what-a-child-may-hold
	says 'SUMMARY: sockleak: 1 socket leaked at 1 place; [0-9]+ opened, [0-9]+ closed; 0 missed, 0 dropped'
}

# questions CASE: how often the kernel is asked what a socket is
questions() {
	logged "" strace -f -qq -o "$tmp/trace" -e trace=getsockopt "$fixture" "$1"
	grep -c getsockopt "$tmp/trace"
}

@test "to pass a socket costs no more where many were passed before" {
	few=$(questions broker-of-ten)
	many=$(questions broker-of-sixty)
	echo "$few questions of 10, $many of 60"
	[ "$few" -gt 10 ]
	[ "$many" -lt $((7 * few)) ]
}

# offset NAME: of a variable in the library
offset() {
	nm "$B/libsockleak.so" | awk -v name="$1" '$3 == name { print $1 }'
}

@test "nothing is missed where the numbers of sockets wrap" {
	GENERATION=$(offset last_generation) logged interval=20ms \
		"$fixture" counts-past-the-wrap >"$tmp/said"
	[ "$(cat "$tmp/said")" = "4 since the mark" ]
	says 'SUMMARY: sockleak: 4 sockets leaked'
}

@test "a socket that comes back to its sender is one, also if it was passed before any came" {
	for thread in yes no; do
		logged "thread=$thread" "$fixture" passes-to-itself
		says 'SUMMARY: sockleak: 2 sockets leaked at 1 place; 5 opened, 2 closed; 0 missed, 0 dropped$'
	done
}
