#!/usr/bin/env bats
# Servers for Python as Debian has them: where an app's own code opened what it leaks is
# told by its own file and line, whatever stands between it and the server.

bats_require_minimum_version 1.5.0
load ../lib/programs

setup() {
	programs_setup
	plain_build "the hosts are built without it"
	app=$PWD/tests/fixtures/python_app.py
	python=/usr/bin/python3
	export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=${app%/*}
	pick_port
	export UPSTREAM=$port
	start "$python" "$app" upstream "$UPSTREAM"
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
# a connection; the first function that is no library's is the app's, in this line
loses_three() {
	local name=$1
	shift
	type "$1" >/dev/null
	start "$@"
	until_true answers ready
	for _ in 1 2 3; do
		answers take
	done
	until_true has_lost_three
	equal "[[3,\"Pool.$name\",\"$app\",$(line "$name")]]" "$(jq -c '[.leaks[] | [.count,
		([.origin[] | select(.language == "python" and (.file |
			startswith("/usr/lib/python3") or startswith("<frozen") | not))][0] |
			.function, .file, .line)]]' "$D/json")"
}

@test "gunicorn, one process after the other" {
	loses_three take gunicorn --bind "$at" --workers 1 --worker-tmp-dir "$D" python_app:wsgi
}

@test "gunicorn with threads" {
	loses_three take gunicorn --bind "$at" --workers 1 --threads 3 --worker-tmp-dir "$D" \
		python_app:wsgi
}

@test "uvicorn" {
	loses_three take_async "$python" -m uvicorn --host 127.0.0.1 --port "$port" --log-level error \
		python_app:asgi
}

@test "Django's runserver, a thread for each request" {
	loses_three take "$python" "$app" django "$port"
}

@test "aiohttp" {
	loses_three take_async "$python" "$app" aiohttp "$port"
}

@test "a server of asyncio" {
	loses_three take_async "$python" "$app" asyncio "$port"
}

@test "uwsgi, which loads Python as a plugin" {
	[ -e /usr/lib/uwsgi/plugins/python3_plugin.so ] || skip "no plugin"
	loses_three take uwsgi --plugin python3 --http-socket "$at" --module python_app:wsgi \
		--master --processes 1 --need-app --die-on-term
}

@test "in a virtual environment" {
	"$python" -m venv --without-pip "$D/venv"
	python=$D/venv/bin/python3
	loses_three take_async "$python" "$app" asyncio "$port"
}
