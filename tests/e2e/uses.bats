#!/usr/bin/env bats
# With uses=yes a report says of each leaked socket the last call that moved data on it.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
	sanitizer_with_library
	host=$fixtures/uses
	library=$(sanitizer_first)$library
}

# told CASE...: the report of the host in the file `json`, what must be said in `expected`
told() {
	"$sockleak" run -O uses=yes -O thread="${thread:-yes}" --at-exit=all --quiet --json=json \
		-- "$host" "$@" >expected
	valid_report json
}

# What must be said: of each port the last line; without pids.
expected() {
	sed 's/ pid=.*//' expected | awk '{last[$1] = $0} END {for (port in last) print last[port]}' | sort
}

# What is said.  FUNCTION is that of the fixture that says so, which may have called another.
said() {
	jq -r '[.leaks[], .pending[]][] | .last_uses as $uses | .sockets[]
		| (.peer | sub(".*:"; "")) + " " + if .last_use then .last_use as $use
		| [$use.direction, $use.bytes, $use.call, ([$uses[$use.index].frames[].function]
			| map(select(test("^(use_|splice_out|parse|reply|by_a_|storm)")?)))[0],
			$use.thread] | join(" ") else "none" end' json | sort
}

# The first function of a use that is no stand-in of a sanitizer's.
first='([.frames[].function | select(startswith("__interceptor_")? | not)][0])'

@test "each call that moves data is told with its backtrace, its thread and how much it moved" {
	told calls
	[ "$(wc -l <expected)" -eq 16 ]
	equal "$(expected)" "$(said)"
}

@test "also where backtraces are unwound at the exit" {
	thread=no told calls worker
	equal "$(expected)" "$(said)"
}

@test "what an accept loop opened and a worker lost is told apart by where it was lost" {
	told worker
	equal "$(expected)" "$(said)"
	[ "$(of '.leaks | length')" -eq 1 ]
	equal '[[2,"recv","parse"],[1,"write","reply"]]' \
		"$(of "[.leaks[0].last_uses[] | [.count, .call, $first]]")"
}

@test "a use by any descriptor of the socket is one" {
	told by-a-duplicate before-a-duplicate number-again unused
	[ "$(sort -u -k1,1 expected | wc -l)" -eq 4 ]
	[ "$(grep -c none expected)" -eq 2 ]
	equal "$(expected)" "$(said)"
}

@test "the use of a child is the child's, whatever its parent did before" {
	told by-a-child
	equal "$(expected)" "$(said)"
	SOCKLEAK_OPTIONS=uses=yes LD_PRELOAD=$library "$host" before-a-fork 2>errors >expected
	grep -q 'ERROR: sockleak: 1 socket' errors
	run ! grep -q 'last used' errors
}

@test "many threads that use one socket leave a use that was" {
	told storm
	equal "$(expected)" "$(said)"
}

@test "a report at a glance names where each was last used, in whole and folded" {
	"$sockleak" run -O uses=yes --at-exit=all -o text -- "$host" worker >/dev/null
	grep -qE '^    2 of 3 last used, e\.g\. [0-9.]+m?s ago by thread [0-9]+: received 5 bytes by recv\(\) in$' text
	grep -qE '^      parse  +.*tests/fixtures/uses\.c:[0-9]+$' text
	grep -qE '^    1 of 3 last used [0-9.]+m?s ago by thread [0-9]+: sent 12 bytes by write\(\) in$' text
	grep -qE '^      \.\.\. from handle, work$' text
	"$sockleak" run -O uses=yes --at-exit=all -o text -- "$host" by-a-duplicate >/dev/null
	grep -qE '^    last used [0-9.]+m?s ago by thread [0-9]+: sent 7 bytes by send\(\) in$' text
	grep -qE '^      \.\.\. from the same callers$' text
	"$sockleak" run -O uses=yes -o text -- "$host" to-the-end >/dev/null
	grep -qE '^    last used [0-9.]+m?s ago by thread [0-9]+: received 5 bytes by recv\(\), where it was told$' text
}

@test "the table of places has where most sockets of each were last used" {
	"$sockleak" run -O uses=yes --at-exit=all -o text -- "$host" worker by-a-duplicate >/dev/null
	grep -qE '^     sockets  oldest  by       in +at +last used in$' text
	grep -qE '^\[1\] +3 .*  parse .*uses\.c:[0-9]+$' text
	[ "$(awk '{ print length }' text | sort -n | tail -n 1)" -le 100 ]
}

@test "the library's own report has the backtraces, and symbolize adds their lines" {
	SOCKLEAK_OPTIONS=uses=yes:at_exit=all LD_PRELOAD=$library "$host" worker 2>errors >/dev/null
	grep -qE '^  2 of 3 last used, e\.g\. .* by thread [0-9]+: received 5 bytes by recv\(\):$' errors
	grep -A2 '^  1 of 3 last used' errors | grep -qE '^    #[01] 0x[0-9a-f]+ in reply\+0x'
	"$sockleak" symbolize errors >text
	grep -A2 '^  2 of 3 last used' text | grep -qE '^    #[01] 0x[0-9a-f]+ in parse .*uses\.c:[0-9]+ '
}

@test "its JSON lines have them, too" {
	SOCKLEAK_OPTIONS=uses=yes:at_exit=all:format=json LD_PRELOAD=$library "$host" worker \
		2>errors >expected
	jq -es "map(select(.event == \"leak\"))[0] | .count == 3 and .sockets[0].last_use.index == 0 and
		.sockets[0].last_use.bytes == 5 and [.last_uses[] | [.count, .direction, .bytes, $first]]
		== [[2, \"received\", 5, \"parse\"], [1, \"sent\", 12, \"reply\"]]" errors
}

# begin CASE...: the host with a ledger, until it stays; its pid in $pid
begin() {
	SOCKLEAK_OPTIONS=uses=yes:grace=20ms:interval=5ms:log=none:ledger=$PWD/ledgers \
		LD_PRELOAD=$library "$host" "$@" stay <fifo >expected 3>&- &
	pid=$!
	exec 7>fifo
	wait_until 60 grep -q stays expected
	sed -i /stays/d expected
}

has_uses() {
	json_of ledgers && equal "$(expected)" "$(said)"
}

@test "the ledger has the last use of a process that was killed" {
	mkfifo fifo
	begin worker unused
	wait_until 60 has_uses
	kill -9 "$pid"
	wait "$pid" || true
	has_uses
	jq -e '.processes[0].ended == "unknown"' json
}

@test "list shows the last use, as a line and as JSON" {
	mkfifo fifo
	begin worker
	wait_until 60 has_uses
	"$sockleak" list --verbose "$pid" >text
	[ "$(grep -cE ', last used [0-9.]+m?s ago by thread [0-9]+: received 5 bytes by recv\(\) in parse .*uses\.c:[0-9]+$' text)" -eq 2 ]
	[ "$(grep -cE ', last used .*: sent 12 bytes by write\(\) in reply .*uses\.c:[0-9]+$' text)" -eq 1 ]
	"$sockleak" list --json="$PWD/list.json" "$pid" >/dev/null
	valid_report list.json
	equal 2 "$(jq '[.processes[].sockets[] | select(.last_use.frame.function == "parse")] | length' list.json)"
	exec 7>&-
	wait "$pid"
}

@test "SARIF, HTML and JUnit name them" {
	"$sockleak" run -O uses=yes --at-exit=all --quiet --sarif=sarif --html=html --junit=junit \
		-- "$host" worker >/dev/null
	valid_sarif sarif
	jq -e '.runs[0].results[0] | [.relatedLocations[] | .message.text]
		| index("last used in parse") and index("last used in reply")' sarif
	jq -e '.runs[0].results[0].message.text | test("It was last used by recv\\(\\) \\[here\\]\\([0-9]+\\)\\.")' sarif
	jq -e '[.runs[0].results[0].stacks[].message.text] == ["opened here", "last used here", "last used here"]' sarif
	grep -q '<h3>2 of 3 last used, e\.g\. .*: received 5 bytes by recv() in</h3>' html
	grep -q 'last used.*: sent 12 bytes by write() in' junit
}

@test "the page for a browser has all frames of a last use, and when it was" {
	plain_build "the browser is the same"
	"$sockleak" run -O uses=yes --at-exit=all --quiet --html=page.html -- "$host" worker >/dev/null
	run -0 "$top/tests/lib/browse" page.html \
		'document.querySelector(".frames").open = true, document.querySelector(".sockets").open = true,
		new Promise((done) => setTimeout(() => done([...document.querySelectorAll(".frames h3")].filter(
			(head) => head.textContent.startsWith("Last used")).length), 0))' \
		'[...document.querySelectorAll(".sockets th")].some((head) => head.textContent === "Last used")'
	equal $'2\ntrue' "$output"
}

@test "a program of Python has Python's own lines" {
	not_with thread "its runtime must come first where the host has none"
	cat >server.py <<-'PYTHON'
		import socket, threading
		listener = socket.create_server(("127.0.0.1", 0))
		client = socket.create_connection(listener.getsockname())
		def parse(one):
		    return one.recv(16)
		class Worker(threading.Thread):
		    def run(self):
		        parse(self.one)
		worker = Worker()
		worker.one, _ = listener.accept()
		client.sendall(b"hello")
		worker.start()
		worker.join()
		client.shutdown(socket.SHUT_WR)
		worker.one.recv(1)
		worker.one.detach()
	PYTHON
	for thread in yes no; do
		"$sockleak" run -O uses=yes -O thread=$thread --quiet --json=json \
			-- /usr/bin/python3 server.py
		equal '[["parse",5],["Worker.run",8]]' "$(of '[.leaks[0].last_uses[0].frames[]
			| select(.language == "python") | [.function, .line]][:2]')"
		equal '["received",5]' "$(of '.leaks[0].sockets[0].last_use | [.direction, .bytes]')"
		equal '"recv"' "$(of '.leaks[0].last_uses[0].call')"
	done
}

@test "without the option there is none" {
	"$sockleak" run --at-exit=all --json=json -o text -- "$host" worker >/dev/null
	valid_report json
	equal '[[],[null,null,null]]' "$(of '.leaks[0] | [.last_uses, [.sockets[].last_use]]')"
	run ! grep -q 'last used' text
}
