#!/usr/bin/env bats
# What the library writes goes where the user said, to nobody else's file, readable by
# nobody else; and what others choose (paths, names) is escaped.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	tmp=$BATS_TEST_TMPDIR
	leaks=$fixtures/guest_processes
	chmod 755 "$tmp"
}

# with OPTIONS: a program that leaks; standard error is in $stderr
with() {
	run -0 --separate-stderr preloaded "$1" "$leaks" leaks
}

mode_of() {
	stat -c %a "$1"
}

needs_root() {
	[ "$(id -u)" = 0 ] || skip "only root may"
}

@test "log and ledger are readable by their owner alone" {
	umask 0
	mkdir -m 700 "$tmp/ledger"
	with "log=$tmp/log:ledger=$tmp/ledger"
	[ "$(mode_of "$tmp/log")" = 600 ]
	[ "$(mode_of "$tmp/ledger"/*.sockleak)" = 600 ] || [ "$(mode_of "$tmp"/ledger/*)" = 600 ]
}

@test "a log is no link, no pipe and no directory" {
	echo mine >"$tmp/other"
	ln -s "$tmp/other" "$tmp/link"
	mkfifo "$tmp/pipe"
	mkdir "$tmp/directory"
	for name in link pipe directory /dev/null; do
		with "log=$tmp/$name"
		# shellcheck disable=SC2154
		[[ $stderr == *"WARNING: sockleak: the log "* ]]
		[ "$(wc -l <<<"$stderr")" = 1 ]
	done
	[ "$(cat "$tmp/other")" = mine ]
}

@test "a log that is there is appended to if it is the user's own" {
	echo before >"$tmp/log"
	with "log=$tmp/log"
	grep -q before "$tmp/log"
	grep -q 'sockleak: 1 socket left' "$tmp/log"
}

@test "a log of another user's is left alone" {
	needs_root
	echo theirs >"$tmp/log"
	chown 65534 "$tmp/log"
	chmod 666 "$tmp/log"
	with "log=$tmp/log"
	[[ $stderr == *"the log is not a regular file of this user"* ]]
	[ "$(cat "$tmp/log")" = theirs ]
}

@test "a ledger is kept in no directory that others may write, and behind no link" {
	mkdir -m 777 "$tmp/open"
	mkdir -m 700 "$tmp/own"
	ln -s "$tmp/own" "$tmp/link"
	chmod 777 "$tmp/open"
	with "ledger=$tmp/open:log=none"
	[[ $stderr == *"the ledger directory can be written by others"* ]]
	with "ledger=$tmp/link:log=none"
	[[ $stderr == *"the ledger directory cannot be opened: $tmp/link" ]]
	[ -z "$(ls "$tmp/open" "$tmp/own" | grep -v :)" ]
	chmod 1777 "$tmp/open" # as /tmp: nobody can put another file in its place
	with "ledger=$tmp/open:log=none"
	[ -z "$stderr" ]
	[ -n "$(ls "$tmp/open")" ]
}

@test "a ledger is kept in no directory of another user's" {
	needs_root
	mkdir -m 700 "$tmp/theirs"
	chown 65534 "$tmp/theirs"
	with "ledger=$tmp/theirs:log=none"
	[[ $stderr == *"the ledger directory belongs to another user"* ]]
	[ -z "$(ls "$tmp/theirs")" ]
}

@test "a name that somebody has put in the way of a ledger is not taken" {
	mkdir -m 700 "$tmp/ledger"
	cat >"$tmp/race.sh" <<-'SH'
		# The ledger of this very process: exec keeps pid and start.
		ticks=$(sed 's/.*) //' /proc/$$/stat | cut -d' ' -f20)
		echo mine >"$1/mine"
		ln -s "$1/mine" "$1/$$.$ticks.0.$2"
		shift 2
		exec "$@"
	SH
	suffix=$(sed -n 's/.*SL_LEDGER_SUFFIX *"\.\(.*\)".*/\1/p' preload/common/ledger.h)
	run -0 sh "$tmp/race.sh" "$tmp/ledger" "$suffix" env LD_PRELOAD="$preloads" \
		SOCKLEAK_OPTIONS="ledger=$tmp/ledger:log=none" "$leaks" leaks
	[ "$(cat "$tmp/ledger/mine")" = mine ]
	[ "$(find "$tmp/ledger" -type f -size +4k | wc -l)" = 1 ]
}

@test "a set-user-ID program ignores us, and we it (AT_SECURE)" {
	needs_root
	type setpriv || skip "setpriv is not installed"
	anyones=$(mktemp -d) # nobody must be able to get there
	chmod 755 "$anyones"
	mkdir -m 777 "$anyones/ledger"
	cp "$leaks" "$anyones/setuid"
	cp "$library" "$anyones/libsockleak.so"
	cp "$(command -v id)" "$anyones/id"
	chmod 4755 "$anyones/setuid" "$anyones/id"
	as_nobody=(setpriv --reuid 65534 --clear-groups)
	[[ $("${as_nobody[@]}" "$anyones/id") == *euid=0* ]] || skip "$anyones has no set-user-ID"
	run -0 --separate-stderr "${as_nobody[@]}" env LD_PRELOAD="$anyones/libsockleak.so" \
		SOCKLEAK_OPTIONS="ledger=$anyones/ledger:log=$anyones/ledger/log" \
		"$anyones/setuid" leaks
	left=$(ls "$anyones/ledger")
	rm -rf "$anyones"
	[ -z "$stderr$left" ]
}

# Bytes that a terminal would obey: all below the blank but the end of a line, and DEL.
has_no_control() {
	run ! grep -qP '[\x00-\x09\x0b-\x1f\x7f]' "$1"
}

@test "the path of a program is escaped in the log, in text and in JSON" {
	name=$'e\x1b[31mvil\n==1==ERROR: sockleak: forged\t"\\'
	mkdir "$tmp/$name"
	cp "$leaks" "$tmp/$name/$name"
	for format in text json; do
		# env would take the name for an assignment.
		LD_PRELOAD=$preloads SOCKLEAK_OPTIONS="log=$tmp/log.$format:format=$format" \
			"$tmp/$name/$name" leaks
		has_no_control "$tmp/log.$format"
		run ! grep -q '^==1==' "$tmp/log.$format"
	done
	jq -es 'length == 2 and (.[0].origin[0].module | contains("\u001b[31mvil\n"))' \
		"$tmp/log.json"
}

@test "the name of a test is escaped in the log, in text and in JSON" {
	cat >"$tmp/named.c" <<-'C'
		#include "guest.h"
		int main(void)
		{
			char byte;
			sockleak_name("\x1b]0;title\a\n==1==ERROR: sockleak: forged\"\\\x80");
			struct pair pair = ended();
			return recv(pair.server, &byte, 1, 0) != 0;
		}
	C
	cc -std=gnu11 -D_GNU_SOURCE -Ipreload -Itests/lib -o "$tmp/named" "$tmp/named.c"
	for format in text json; do
		run -0 preloaded "log=$tmp/log.$format:format=$format" "$tmp/named"
		has_no_control "$tmp/log.$format"
		run ! grep -q '^==1==' "$tmp/log.$format"
	done
	jq -es 'length == 2' "$tmp/log.json"
}

@test "what is wrong with an option is said in escaped words" {
	with $'gra\x1b[2Jce=1:format=\x1b[2J\n'
	printf '%s' "$stderr" >"$tmp/err"
	has_no_control "$tmp/err"
	[[ $stderr == *"unknown option"* ]]
}
