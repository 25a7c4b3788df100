#!/usr/bin/env bats
# sockleak run --node: where a program of Node opened its sockets is told in JavaScript.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
	plain_build "node is built without it"
	app=$top/tests/fixtures/node_app.js
	export NODE_PATH=/usr/share/nodejs
	node_pid=
	mkfifo lives
}

teardown() {
	[ -z "$node_pid" ] || kill "$node_pid" 2>/dev/null || true
}

# node_runs OPTIONS... -- PROGRAM...: below run --node, until ends
node_runs() {
	rm -rf kept
	"$sockleak" run ${options---node} --quiet --grace=300ms --at-exit=all --ledger=kept "$@" \
		<lives >said 2>errors 3>&- &
	node_pid=$!
	exec 9>lives
}

ends() {
	exec 9>&-
	wait "$node_pid"
	node_pid=
}

# leaked N: so many sockets, each with its origin
leaked() {
	"$sockleak" report --json=json --quiet kept 2>/dev/null &&
		[ "$(of "[.leaks[] | select(.origin | length > 0) | .count] | add")" = "$1" ]
}

# The innermost frames of JavaScript that are neither Node's nor a package's.
own_frames() {
	of "[.leaks[].origin[] | select(.language == \"javascript\" and
		.file == \"$app\") | [.function, .line]]"
}

line() {
	grep -n "// line: $1\$" "$app" | cut -d: -f1
}

# leaks_in CASE FUNCTION [LINE-NAME]
leaks_in() {
	node_runs -- node "$app" "$1"
	wait_until 60 leaked 1
	equal "[\"$2\",$(line "${3:-$1}")]" "$(own_frames | jq -c '.[0]')"
	ends
	[ ! -s errors ]
}

@test "a connection: in the function that called connect(), through a lookup, too" {
	leaks_in connect Pool.checkout checkout
	leaks_in lookup Pool.byName byName
}

@test "a request whose answer is not read, with and without keep-alive" {
	leaks_in get Object.get
	leaks_in agent Object.agent
}

@test "an accepted connection: where its server began to listen" {
	leaks_in server port
	leaks_in express Object.express
}

@test "a WebSocket" {
	leaks_in ws "Server.<anonymous>"
}

@test "where no own frame is left, the package's own are told" {
	for case in undici fetch; do
		node_runs -- node "$app" "$case"
		wait_until 60 leaked 1
		[ "$(of '[.leaks[].origin[] | select(.language == "javascript" and (.file | test("undici")))] | length')" -gt 0 ]
		ends
	done
}

@test "in a worker, and in a child" {
	leaks_in worker Pool.checkout checkout
	leaks_in child Pool.checkout checkout
}

of_said() {
	jq -cs 'map(.[:20]) | group_by(.) | map([length, .[0]]) | sort[]' said
}

of_trees() {
	of '[.leaks[] | .count as $n | [.origin[] | select(.language == "javascript") |
		[.function, .file, .line]] | until(.[0][1] != "node:net"; .[1:]) | [$n, .[:20]]]
		| group_by(.[1]) | map([(map(.[0]) | add), .[0][1]]) | sort[]'
}

@test "every frame is what Node's own error says, over 300 call trees" {
	node_runs -O frames=128 -- node "$top/tests/fixtures/node_trees.js" 300 "${seed:-4711}"
	wait_until 60 leaked 300
	ends
	[ "$(wc -l <said)" = 300 ]
	diff <(of_said) <(of_trees)
}

@test "the text: the program's lines, and how many of Node's are left out" {
	leaks_in connect Pool.checkout checkout
	run -0 --separate-stderr "$sockleak" report kept
	grep -qE "^      Pool\.checkout +[^ ]*node_app\.js:$(line checkout)\$" <<<"$output"
	grep -qE '^      \.\.\. [0-9]+ of javascript and the interpreter$' <<<"$output"
}

# What a program can see of it.
cat_of_node() {
	cat <<-'END'
		const net = require("net"), http = require("http");
		const server = http.createServer((q, a) => a.end("ok")).listen(0, "127.0.0.1", () => {
			http.get({port: server.address().port, host: "127.0.0.1"}, (answer) => {
				answer.resume().on("end", () => server.close());
			});
		});
		console.log(net.Socket.prototype.connect.name, net.Socket.prototype.connect.length,
			net.Server.prototype.listen.name, net.Server.prototype.listen.length,
			Object.keys(net.Socket.prototype).includes("connect"),
			process.eventNames(), process.listenerCount("exit"), process.execArgv,
			Error.stackTraceLimit, Error.prepareStackTrace, new Error("at").stack);
		process.on("exit", (status) => console.log("exit", status));
	END
}

@test "a program does the same with it, whatever it is run with" {
	cat_of_node >program.js
	for how in '' --frozen-intrinsics --no-addons --disable-proto=throw; do
		# shellcheck disable=SC2086
		node --no-warnings $how program.js >bare 2>&1
		# shellcheck disable=SC2086
		run -0 "$sockleak" run --node --quiet -- node --no-warnings $how program.js
		equal "$(<bare)" "$output"
	done
}

@test "the user's own NODE_OPTIONS stay, and blanks in the path do no harm" {
	echo 'globalThis.own = 1' >own.js
	NODE_OPTIONS="--require ./own.js" run -0 "$sockleak" run --node --quiet -- \
		node -p 'process.env.NODE_OPTIONS.endsWith(" --require ./own.js") && own'
	[ "$output" = 1 ]
	mkdir "a \"b\\c"
	cp "$sockleak" "$library" "$build/sockleak_node.js" "a \"b\\c"
	run -0 "a \"b\\c/sockleak" run --node --quiet -- node -p \
		'Object.keys(require.cache).some((path) => path.endsWith("sockleak_node.js"))'
	[ "$output" = true ]
}

@test "without --node nothing of it is there; where its file is not, run says so" {
	run -0 "$sockleak" run --quiet -- node -p 'process.env.NODE_OPTIONS'
	[ "$output" = undefined ]
	mkdir alone
	cp "$sockleak" "$library" alone
	run -125 alone/sockleak run --node -- true
	[[ $output == "sockleak: cannot read "*/alone/sockleak_node.js:* ]]
}

@test "the report of a run without --node says that it would name the lines" {
	node_runs -- node "$app" connect
	wait_until 60 leaked 1
	ends
	"$sockleak" report kept >with || [ $? -eq 1 ]
	run -1 grep -e --node with

	options='' node_runs -- node "$app" connect
	wait_until 60 leaked 1
	ends
	"$sockleak" report kept >without || [ $? -eq 1 ]
	grep -q -e '--node. names the lines of JavaScript' without
}

@test "by NODE_OPTIONS alone, with plain preload" {
	(sleep 0.1; until [ -s log ]; do sleep 0.1; done) |
		LD_PRELOAD=$library SOCKLEAK_OPTIONS=grace=100ms:interval=50ms:log=log \
			NODE_OPTIONS="--require $build/sockleak_node.js" timeout 60 node "$app" connect
	grep -q "#0 Pool.checkout at $app:$(line checkout)\$" log
}
