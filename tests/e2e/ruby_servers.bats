#!/usr/bin/env bats
# Servers for Ruby as Debian has them: where an app's own code opened what it leaks is told
# by its own file and line, whatever stands between it and the server.

bats_require_minimum_version 1.5.0
load ../lib/ruby
load ../lib/programs # has a `load` of its own

setup() {
	programs_setup
	ruby_setup
	app=$top/tests/fixtures/ruby_app.rb
	pick_port
	export UPSTREAM=$port
	start ruby "$app" upstream "$UPSTREAM"
	until_true listens "$UPSTREAM"
	pick_port
	at=127.0.0.1:$port
	library=$build/libsockleak.so
	options=grace=100ms:interval=50ms:ledger=$D/ledgers
}

teardown() {
	[ -z "${D:-}" ] || stop_all
}

answers() {
	[ "$(curl -sS -m 10 "http://$at/$1" 2>/dev/null)" = ok ]
}

# line NAME: of the app
line() {
	grep -n "# line: $1\$" "$app" | cut -d: -f1
}

has_lost_three() {
	read_report
	[ "$(jq '[.leaks[].count] | add' "$D/json")" = 3 ]
}

# loses_three LINE-NAME SERVER [ARGUMENT...]: it serves three requests, each of which loses
# a connection; the first line of the app is this one
loses_three() {
	local name=$1
	shift
	type "$1" >/dev/null
	start "$@"
	until_true answers ready
	for _ in 1 2 3; do
		answers "$name"
	done
	until_true has_lost_three
	equal "[[3,\"$name\",\"$app\",$(line "$name")]]" "$(jq -c --arg app "$app" '[.leaks[] | [.count,
		([.origin[] | select(.language == "ruby" and .file == $app)][0] |
			.function, .file, .line)]]' "$D/json")"
}

puma() {
	type puma >/dev/null || skip "no Puma"
	printf 'require "%s"\nrun APP\n' "$app" >"$D/config.ru"
	loses_three "$1" puma --quiet --bind "tcp://$at" "${@:2}" "$D/config.ru"
}

@test "WEBrick" {
	ruby -r webrick -e 1 || skip "no WEBrick"
	loses_three take ruby "$app" webrick "$port"
}

@test "Puma" {
	puma take
}

@test "Puma with worker processes" {
	puma take --workers 1
}

@test "a connection of Net::HTTP" {
	puma http
}
