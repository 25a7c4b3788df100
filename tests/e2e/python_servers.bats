#!/usr/bin/env bats
# Servers for Python as Debian has them: where an app's own code opened what it leaks is
# told by its own file and line, whatever stands between it and the server.

bats_require_minimum_version 1.5.0
load ../lib/app_servers

setup() {
	programs_setup
	plain_build "the hosts are built without it"
	python=/usr/bin/python3
	export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$top/tests/fixtures
	app_servers_setup "$python" "$top/tests/fixtures/python_app.py"
}

teardown() {
	[ -z "${D:-}" ] || stop_all
}

# loses_three LINE-NAME SERVER [ARGUMENT...]: the first function that is no library's is the
# app's, in this line
loses_three() {
	serves_three take "${@:2}"
	lost_in "[[3,\"Pool.$1\",\"$app\",$(line "$1")]]" '.language == "python" and (.file |
		startswith("/usr/lib/python3") or startswith("<frozen") | not)'
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
