#!/usr/bin/env bats
# Tomcat, and JDBC to a PostgreSQL, as Debian has them: where an app's own code opened what
# it leaks is told by its own method and line, whatever stands around it.

bats_require_minimum_version 1.5.0
load ../lib/java
load ../lib/app_servers # has a `load` of its own

setup() {
	programs_setup
	java_setup
	[ -r /usr/share/java/tomcat10-catalina.jar ] || skip "no Tomcat"
	home=$(java_homes | head -n 1)
	driver=/usr/share/java/postgresql.jar
	data=
	CLASSPATH=classes:$driver$(printf ':%s' /usr/share/java/tomcat10-*.jar)
	export D CLASSPATH
	"$home/bin/javac" -d classes "$top/tests/fixtures/JavaApp.java"
	app_servers_setup "$home/bin/java" JavaApp
	app=$top/tests/fixtures/JavaApp.java
	# Tomcat and the driver have many frames; and Tomcat, whose code is compiled
	# meanwhile, closes a client's connection a while after the client has.
	options=${options/grace=100ms/grace=2s}:frames=100
}

teardown() {
	[ -z "${D:-}" ] || stop_all
	[ -z "${data:-}" ] || rm -rf "$data"
}

java_line() {
	grep -n "// line: $1\$" "$app" | cut -d: -f1
}

# loses_three METHOD: the first frame of a class of the app, and the first that is neither
# the JDK's nor the driver's, are this one
loses_three() {
	local first='.language == "java" and (.function |
		test("^(java|javax|sun|jdk|org[.]postgresql)[.]") | not)'

	serves_three "$1" "$home/bin/java" JavaApp tomcat "$port"
	lost_in "[[3,\"JavaApp.$1\",\"JavaApp.java\",$(java_line "$1")]]" "$first"
	# What called it, to the thread's first method.
	equal '["JavaApp.doGet",true,"java.lang.Thread.run"]' "$(jq -c '.leaks[0].origin |
		map(select(.language == "java") | .function) | [.[index("JavaApp.'"$1"'") + 1],
		any(startswith("org.apache.catalina.core.StandardWrapperValve.")), .[-1]]' "$D/json")"
}

# A PostgreSQL of this test's own; root may not run one, and others not enter bats' directory.
database() {
	local all=(/usr/lib/postgresql/*/bin) bin at=$port

	bin=${all[-1]}
	[ -x "$bin/initdb" ] && [ -r "$driver" ] || skip "no PostgreSQL, or no driver"
	data=$(mktemp -d "${TMPDIR:-/tmp}/postgresql.XXXXXX")
	if [ "$(id -u)" = 0 ]; then
		chown nobody "$data"
		user=(setpriv --reuid nobody --regid nogroup --clear-groups)
	fi
	(cd / && "${user[@]}" "$bin/initdb" -N -D "$data" -A trust -U app >"$D/initdb.out")
	pick_port
	library='' start "$bin/postgres" -D "$data" -h 127.0.0.1 -p "$port" -k '' -F
	user=()
	until_true listens "$port"
	export DATABASE="jdbc:postgresql://127.0.0.1:$port/postgres?user=app"
	port=$at
}

@test "a socket" {
	loses_three take
}

@test "a channel" {
	loses_three channel
}

@test "a connection of JDBC" {
	database
	loses_three query
}
