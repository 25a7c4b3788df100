#!/usr/bin/env bats
# Servers for Ruby as Debian has them: where an app's own code opened what it leaks is told
# by its own file and line, whatever stands between it and the server.

bats_require_minimum_version 1.5.0
load ../lib/ruby
load ../lib/app_servers # has a `load` of its own

setup() {
	programs_setup
	ruby_setup
	app_servers_setup ruby "$top/tests/fixtures/ruby_app.rb"
}

teardown() {
	[ -z "${D:-}" ] || stop_all
}

# loses_three LINE-NAME SERVER [ARGUMENT...]: the first line of the app is this one
loses_three() {
	serves_three "$@"
	lost_in "[[3,\"$1\",\"$app\",$(line "$1")]]" '.language == "ruby" and .file == $app'
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
