#!/usr/bin/env bats
# Real servers under real load give what they give bare, and nothing is reported; servers
# in four languages that really leak are found out, to the socket.

load ../lib/programs

setup() {
	programs_setup
	without_runtime "the hosts are built without it"
	options=grace=1s:interval=200ms:ledger=$D/ledgers
}

teardown() {
	[ -z "${D:-}" ] || stop_all
}

# with_and_without COMMAND: a function that runs a program and prints its results
with_and_without() {
	local bare

	bare=$("$@") || return 1
	library=$build/libsockleak.so
	diff <(echo "$bare") <("$@")
	read_report
}

# found JQ-CONDITION: of the report over all processes
found() {
	jq -e "$1" "$D/json" >/dev/null || { cat "$D/json"; return 1; }
}

nothing_is_said() {
	if cat "$D"/*.err "$D"/*.out | grep -a 'sockleak: '; then return 1; fi
	found '.leaks == []'
	found 'all(.processes[]; .missed == 0 and .dropped == 0)'
}

serve_pages() {
	pick_port
	write_nginx_conf "$port"
	start_nginx
	until_true listens "$port"
	curl -sS "http://127.0.0.1:$port/" "http://127.0.0.1:$port/none" -w '%{http_code}'
	curl -sS "http://127.0.0.1:$port/big" | sha256sum
	load 1 "http://127.0.0.1:$port/"
	load 1 "http://127.0.0.1:$port/" -H 'Connection: close'
	stop "$nginx" QUIT
	echo "nginx: $?"
}

@test "nginx, master and workers under wrk, is the same and silent" {
	type nginx wrk
	with_and_without serve_pages
	nothing_is_said
	# Hundreds of connections were seen, not none.
	found '([.processes[].opened] | add) > 100'
	found 'all(.processes[] | select(.exe | endswith("nginx"));
		.ended == "exit" and .opened == .closed)'
}

serve_keys() {
	pick_port
	start redis-server --bind 127.0.0.1 --port "$port" --dir "$D" --save ''
	local redis=$pid
	until_true listens "$port"
	redis-benchmark -h 127.0.0.1 -p "$port" -t set,get -n 20000 -c 50 --csv | cut -d, -f1
	redis-benchmark -h 127.0.0.1 -p "$port" -t ping_inline -n 2000 -c 50 -k 0 --csv |
		cut -d, -f1
	redis-cli -h 127.0.0.1 -p "$port" get key:__rand_int__
	stop "$redis"
	echo "redis: $?"
}

@test "redis-server under redis-benchmark is the same and silent" {
	type redis-server redis-benchmark
	with_and_without serve_keys
	nothing_is_said
	found '.processes[0].opened > 2000 and .processes[0].ended == "exit"'
}

serve_files() {
	# One that the kernel picks: the server says which.
	mkdir -p "$D/www"
	seq 1000 >"$D/www/numbers"
	start /usr/bin/python3 -u -m http.server --bind 127.0.0.1 --directory "$D/www" 0
	local server=$pid
	has_begun() { grep -q 'Serving HTTP' "$D/python3.out"; }
	until_true has_begun
	port=$(sed -nE 's/.* port ([0-9]+) .*/\1/p' "$D/python3.out")
	for _ in {1..40}; do
		curl -sS "http://127.0.0.1:$port/numbers" "http://127.0.0.1:$port/none" |
			sha256sum
	done
	curl -sS -Z "http://127.0.0.1:$port/numbers?[1-60]" | sha256sum
	: >"$D/python3.out"
	stop "$server" INT || echo "http.server: $?"
}

@test "CPython's http.server under curl is the same and silent" {
	with_and_without serve_files
	nothing_is_said
	found '.processes[0].opened > 100'
}

# serves_and_loses COMMAND...: 20 clients, 7 of them lost; three witnesses of the count
serves_and_loses() {
	library=$build/libsockleak.so
	options=grace=300ms:interval=100ms:ledger=$D/ledgers
	local name=${1##*/}
	start "$@"
	server=$pid
	has_begun() { grep -q 'listening on' "$D/$name.out"; }
	until_true has_begun
	port=$(sed -n 's/listening on //p' "$D/$name.out")
	for i in {1..20}; do
		if ((i % 3 == 1)); then ask lost; else ask good; fi
	done
	[ "$(ask claim)" = 'lost 7' ]
	until_true is_found_out
	[ "$(ss -Htnp state close-wait "sport = :$port" | grep -c "pid=$server,")" -eq 7 ]
	found '.leaks | length == 1 and .[0].count == 7 and .[0].kind == "close-wait"'
	found '[.leaks[0].sockets[].holders[].pid] | unique == ['"$server"']'
	found '.processes[0] | .leaked == 7 and .pending == 0 and .missed == 0 and .dropped == 0'
	# Those that were closed are not among them, however long they are waited for.
	stop "$server"
	grep -qE "^==$server==ERROR: sockleak: [1-7] sockets? left in CLOSE_WAIT" "$D/$name.err"
	grep -qE "^==$server==SUMMARY: sockleak: 7 sockets leaked at 1 place; 22 opened, " \
		"$D/$name.err"
}

ask() {
	local answer

	exec 9<>"/dev/tcp/127.0.0.1/$port"
	echo "$1" >&9
	read -r answer <&9
	exec 9>&-
	echo "$answer"
}

is_found_out() {
	read_report &&
		jq -e '.processes[0].leaked == 7' "$D/json"
}

@test "a C server that leaks is found out: count, call, function" {
	serves_and_loses "$fixtures/leaky_server"
	found '.leaks[0] | .call == "accept" and .origin[0].function == "accept_client" and
		.origin[1].function == "main" and .why == ["never-read"]'
}

@test "a C++ server that leaks by an exception is found out: count, call, function" {
	serves_and_loses "$fixtures/leaky_server_cxx"
	found '.leaks[0] | .call == "accept" and
		.origin[0].function == "web::server::accept_client()" and
		.origin[1].function == "web::server::serve_one()"'
}

@test "a Python server that leaks is found out: count, call, frames" {
	serves_and_loses /usr/bin/python3 tests/fixtures/leaky_server.py
	found '.leaks[0] | .call == "accept4" and (.origin | length) > 5'
}

@test "a Node server that leaks is found out: count, call, frames" {
	serves_and_loses node tests/fixtures/leaky_server.js
	found '.leaks[0] | .call == "accept4" and (.origin | length) > 5'
}

# runs_with_client NUMBER: a program gets a client as that descriptor over exec, reads to
# its end, and exits; prints what is reported
runs_with_client() {
	rm -f "$D/leaky_server.out"
	start "$fixtures/leaky_server"
	has_begun() { grep -q 'listening on' "$D/leaky_server.out"; }
	until_true has_begun
	port=$(sed -n 's/listening on //p' "$D/leaky_server.out")
	(
		exec 5<>"/dev/tcp/127.0.0.1/$port"
		echo good >&5
		[ "$1" -eq 5 ] || eval "exec $1<&5 5<&-"
		LD_PRELOAD=$build/libsockleak.so SOCKLEAK_OPTIONS=$options exec /usr/bin/python3 -c \
			'import os, sys
while os.read(int(sys.argv[1]), 99): pass' "$1" 2>"$D/python.err"
	)
	read_report
}

@test "a socket that is told and held at exit leaks, but not if it came as standard input" {
	runs_with_client 5
	found '.leaks | length == 1 and .[0].count == 1 and .[0].origin_note == "inherited"'
	rm "$D/ledgers"/*
	runs_with_client 0
	found '.leaks == [] and (.processes | length) == 1'
	[ ! -s "$D/python.err" ]
}
