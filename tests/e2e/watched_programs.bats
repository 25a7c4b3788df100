#!/usr/bin/env bats
# One set of options for all programs of a host or a container: which of them are watched,
# and where what is written goes.

bats_require_minimum_version 1.5.0
load ../lib/preload
load ../lib/command

setup() {
	actor_setup
	leaks=(open 1 leave read)
}

# watched OPTIONS [COMMAND...]: the actor, or COMMAND, is
watched() {
	logged "$1:ledger=ledgers" "${@:2}"
	says 'SUMMARY: sockleak: 1 socket leaked'
	[ -n "$(ls -A ledgers)" ]
	rm ledgers/*
}

# left_out OPTIONS COMMAND...: it leaks as without the library
left_out() {
	logged "$1:exitcode=9:ledger=ledgers" "${@:2}"
	says_nothing
	[ -z "$(ls -A ledgers)" ]
}

@test "off=yes: nothing is done, and a program that asks is told nothing" {
	watched off=no "$actor" "${leaks[@]}"
	left_out off=yes "$actor" "${leaks[@]}" name test check since
	left_out off=yes:thread=no "$actor" fork "${leaks[@]}"
}

@test "programs=: a glob of the path, or of the name where it has no slash; a list by commas" {
	# A comma in a path is written as '?'.
	for glob in "${actor//,/?}" actor '*tests/fixtures/act?r' 'a*r' true,actor,false all; do
		watched "programs='$glob'" "$actor" "${leaks[@]}"
	done
	for glob in /actor acto ctor actor2 '*/actor/*' '' , true,false; do
		[ -z "$glob" ] || left_out "programs='$glob'" "$actor" "${leaks[@]}"
	done
}

@test "not=: those are left out, also of what programs= names" {
	left_out not=actor "$actor" "${leaks[@]}"
	left_out "programs=actor:not='*/fixtures/*'" "$actor" "${leaks[@]}"
	watched not=true,false "$actor" "${leaks[@]}"
	watched not=none "$actor" "${leaks[@]}"
}

@test "a script goes by its own path, and by that of its interpreter" {
	cat >server <<-'PYTHON'
		#!/usr/bin/python3
		import socket
		listener = socket.create_server(("127.0.0.1", 0))
		client = socket.create_connection(listener.getsockname())
		taken, _ = listener.accept()
		client.close()
		taken.recv(1)
		taken.detach()
	PYTHON
	chmod +x server
	watched programs=server ./server
	watched "programs='$PWD/ser*'" "$PWD/server"
	watched "programs=python3*" ./server
	left_out programs=server /usr/bin/python3 server
	left_out not=server ./server
}

@test "a program that is left out executes one that is not" {
	watched not=env /usr/bin/env "$actor" "${leaks[@]}"
	watched programs=actor /usr/bin/env "$actor" "${leaks[@]}"
}

@test "%h is the host's name; a directory with such a word is made" {
	logged "log=$PWD/log.%h.%e:ledger=ledgers/%h" "$actor" "${leaks[@]}"
	says_nothing
	says 'SUMMARY: sockleak: 1 socket leaked' "log.$(uname -n).actor"
	[ "$(stat -c %a "ledgers/$(uname -n)")" = 700 ]
	[ "$(find "ledgers/$(uname -n)" -name '*.sockleak' | wc -l)" = 1 ]
	logged "ledger=ledgers/none" "$actor" "${leaks[@]}"
	says 'directory'
	[ ! -e ledgers/none ]
}

@test "run says that programs may have been left out, and --strict does not mind" {
	run -0 "$sockleak" run --strict --json=json -O not=actor -- "$actor" "${leaks[@]}"
	[[ $output == *"Not watched: a program: it may have been left out by the options programs, not or off."* ]]
	valid_report json
	[[ $output != *"was not watched"* ]]
	equal '[[[null,"left-out"]],0]' "$(of '[[.unwatched[] | [.exe, .reason]], (.leaks | length)]')"
	SOCKLEAK_OPTIONS=programs=actor run -1 "$sockleak" run --error-exitcode=1 --json=json -- "$actor" "${leaks[@]}"
	equal '[["left-out"],1]' "$(of '[[.unwatched[].reason], (.leaks | length)]')"
	run -0 "$sockleak" run --json=json -O programs=all -O off=no -- "$actor" open 1 drop
	equal '[]' "$(of .unwatched)"
}
