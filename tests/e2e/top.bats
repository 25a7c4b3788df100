#!/usr/bin/env bats
# sockleak top: tables where there is no terminal, a screen where there is one.

bats_require_minimum_version 1.5.0
load ../lib/preload

setup() {
	actor_setup
	go=$PWD/go
	export LC_ALL=C.UTF-8 # for tmux, and for what compares its screen
}

teardown() {
	[ -z "$host" ] || kill "$host" 2>/dev/null || true
	tmux -S terminal kill-server 2>/dev/null || true
}

# leaks WORDS...: an actor that keeps a ledger, until $go is there; in $host
leaks() {
	begin ledger=ledgers:grace=100ms:interval=20ms:log=none "$actor" "$@" until "$go"
}

# table: what top prints of the host at one look
table() {
	"$sockleak" top --count=1 "$host" >table
}

table_says() {
	table && grep -qE -- "$1" table
}

# on_terminal COMMAND...: in a terminal of 100 columns and 20 lines
on_terminal() {
	tmux -S terminal -f /dev/null new-session -d -x 100 -y 20 \
		"env -i TERM=screen LC_ALL=C.UTF-8 ASAN_OPTIONS=$ASAN_OPTIONS $* 2>errors; echo \$? >status"
}

shows() {
	tmux -S terminal capture-pane -p >shown && grep -qE -- "$1" shown
}

keys() {
	tmux -S terminal send-keys "$@"
}

@test "without a terminal each look is a table, with what grew" {
	leaks open 3 leave read
	wait_until 60 table_says '^ +3 +- +[0-9.]+(ms|s) +eof-read +take \(.*actor\.c:[0-9]+\)$'
	[ "$(sed -n 1p table)" = "1 process, 3 sockets open, 3 leaked" ]
	[[ $(sed -n 2p table) =~ ^' '+LEAKED' '+\+/MIN' '+OLDEST' '+WHY' '+WHERE$ ]]
	grep -qxF "$(sed -n 2p table)" "$top/README.md"
	"$sockleak" top --interval=50ms -n 3 "$host" >table
	[ "$(grep -c '^1 process, 3 sockets open, 3 leaked$' table)" = 3 ]
	[ "$(grep -cE '^ +3 +\+0 ' table)" = 2 ]
}

@test "the file of a module is read at the first look alone" {
	needs_strace
	leaks open 1 leave read
	wait_until 60 table_says '^ +1 .*take '
	strace -f -o trace -e trace=openat "$sockleak" top --interval=50ms -n 4 "$host" >table
	[ "$(grep -c '^1 process, 1 socket open, 1 leaked$' table)" = 4 ]
	[ "$(grep -c "\"[^\"]*/$(basename "$(readlink "/proc/$host/exe")")\"" trace)" = 1 ]
}

@test "a program without leaks is a line, and none at all, too" {
	leaks open 2
	wait_until 60 table_says '^1 process, 4 sockets open, 0 leaked$'
	[ "$(wc -l <table)" = 1 ]
	touch "$go"
	wait "$host"
	host=
	run -2 "$sockleak" top 1
	[ "$output" = "sockleak: process 1 keeps no ledger that can be read" ]
	run -2 "$sockleak" top --interval=0 1
	[[ $output == *"--interval"*"a duration as 500ms, 1.5s or 2m, not 0"* ]]
	run -2 "$sockleak" top -n 0 1
	[[ $output == *"a number from 1 on"* ]]
}

@test "on a terminal: lines over time, places, the stacks of one, a report, and back" {
	leaks open 2 leave read
	wait_until 60 table_says '^1 process, 2 sockets open, 2 leaked$'
	on_terminal "$sockleak" top --interval=100ms "$host"
	wait_until 60 shows '^open    █{3}'
	wait_until 60 shows '^ +2 +\+0 +[0-9.]+s +eof-read +take \('
	shows '^sockleak top, [0-9:]{8}: 1 process, 2 sockets open, 2 leaked$'
	shows '^leaked  █'
	keys Enter
	wait_until 60 shows 'told by read\(\) in +read_end'
	shows '^ +take +.*actor\.c:[0-9]+$'
	keys Enter
	wait_until 60 shows 'LEAKED +\+/MIN'
	keys p
	wait_until 60 shows '^Press Enter to go back'
	shows '^==[0-9]+==SUMMARY: sockleak: 2 sockets leaked at 1 place'
	keys Enter
	wait_until 60 shows 'LEAKED +\+/MIN'
	keys q
	wait_until 60 test -s status
	[ "$(cat status)" = 0 ]
	[ ! -s errors ]
}

@test "keys sort and choose" {
	cat >two.py <<-'PYTHON'
		import os, socket, sys, time
		listener = socket.create_server(("127.0.0.1", 0))
		kept = []
		def opens_one(n):
		    for _ in range(n):
		        client = socket.create_connection(listener.getsockname())
		        kept.append(listener.accept()[0])
		        client.close()
		def opens_many(n):
		    opens_one(n)
		opens_one(1)
		time.sleep(1.5)
		opens_many(3)
		while not os.path.exists(sys.argv[1]):
		    time.sleep(0.01)
	PYTHON
	without_runtime "Python is built without it"
	begin ledger=ledgers:grace=100ms:interval=20ms:log=none /usr/bin/python3 two.py "$go"
	wait_until 60 table_says '^ +3 .* opens_one \(.*two\.py:7\) from opens_many \(.*two\.py:10\)$'
	wait_until 60 table_says '^ +1 .* opens_one \(.*two\.py:7\) from <module> \(.*two\.py:11\)$'
	on_terminal "$sockleak" top --interval=1h "$host"
	wait_until 60 shows '^ +3 +- '
	first() { shows . && [[ $(sed -n 6p shown) =~ ^" "+"$1"" " ]]; }
	first 3
	keys o
	wait_until 60 first 1
	keys l
	wait_until 60 first 3
	keys Down Enter
	wait_until 60 shows '^1 socket left in CLOSE_WAIT'
	keys q
	wait_until 60 test -s status
}

@test "where no process can be looked at, how to start one is said" {
	unshare -pf --mount-proc true 2>/dev/null || skip "PID namespaces are not permitted here"
	run -0 unshare -pf --mount-proc "$sockleak" top --count=1
	equal '0 processes, 0 sockets open, 0 leaked (`sockleak run` starts a program that can be looked at)' "$output"
	run -0 unshare -pf --mount-proc "$sockleak" list
	equal 'sockleak: 0 processes keep a ledger, 0 sockets leaked (`sockleak run` starts a program that keeps one).' "$output"
}

@test "the column of reasons is no wider than they are" {
	leaks open 2 leave read
	wait_until 60 table_says '^ +2 .* eof-read  take '
	grep -q '  WHY       WHERE$' table
}

@test "a terminal that cannot be drawn on is named" {
	leaks open 1
	wait_until 60 table_says '^1 process'
	tmux -S terminal -f /dev/null new-session -d \
		"env -i TERM=nothing ASAN_OPTIONS=$ASAN_OPTIONS $sockleak top $host 2>errors; echo \$? >status"
	wait_until 60 test -s status
	[ "$(cat status)" = 2 ]
	[ "$(cat errors)" = "sockleak: cannot draw on a terminal of type 'nothing': \`sockleak top | cat\` prints tables" ]
}
