#!/usr/bin/env bats
# Reports of Python programs: where a socket was opened, and where the program was told,
# in Python's own lines.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	run_setup
	export PYTHONDONTWRITEBYTECODE=1 PYTHONUTF8=1
	program=$top/tests/fixtures/python_places.py
}

teardown() {
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
}

# line NAME: of the fixture
line() {
	grep -n "# line: $1\$" "$program" | cut -d: -f1
}

# watched CASE [OPTION]...: run by the command; its report in the file `json`
watched() {
	local case=$1
	shift
	"$sockleak" run --quiet --json=json "$@" -- /usr/bin/python3 "$program" "$case" || return
	valid_report json
}

# alone OPTIONS CASE: without the command; what it prints in the file `errors`
alone() {
	SOCKLEAK_OPTIONS=$1 LD_PRELOAD=$(sanitizer_first)$library \
		/usr/bin/python3 "$program" "$2" >out 2>errors
}

# lines_of KIND FILTER: count and lines of Python of each place, without Python's library
lines_of() {
	jq -c "[.leaks[] | [.count, ([.$1[] | select(.language == \"python\" and
		(.file | startswith(\"/usr/lib/\") | not)) | \"\(.function):\(.line)\"] | join(\" \"))]] | sort" json
}

@test "two lines of one function are two places, whatever code of Python runs them" {
	watched two-lines
	local calls
	calls=$(grep -n 'forget(pool.checkout(i % 4' "$program" | cut -d: -f1)
	equal "[[25,\"Pool.checkout:$(line other) two_lines:$calls <module>:$(wc -l <"$program")\"],[75,\"Pool.checkout:$(line checkout) two_lines:$calls <module>:$(wc -l <"$program")\"]]" "$(lines_of origin)"
	equal "[[25,\"forget:$(line told) two_lines:$calls <module>:$(wc -l <"$program")\"],[75,\"forget:$(line told) two_lines:$calls <module>:$(wc -l <"$program")\"]]" "$(lines_of eof)"
	equal "[\"$program\"]" "$(of '[.leaks[].origin[] | select(.language) | .file | select(startswith("/usr/lib/") | not)] | unique')"
}

@test "the same without the command, with the same ids, and without the helper thread" {
	without_runtime "its stand-ins are the first frames"
	watched two-lines
	local thread
	for thread in yes no; do
		alone format=json:thread=$thread two-lines
		equal '[25,75]' "$(jq -cs '[.[] | select(.event == "leak").count] | sort' errors)"
		equal "$(of '[.leaks[].id] | unique')" \
			"$(jq -cs '[.[] | select(.event == "leak").id] | unique' errors)"
	done
}

@test "text begins with Python's lines, and leaves the interpreter out" {
	without_runtime "its stand-ins are the first frames"
	alone log=stderr two-lines
	grep -qE "^    #0 Pool.checkout at $program:$(line checkout)\$" errors
	grep -qE "^    #0 forget at $program:$(line told)\$" errors
	run -1 grep -E '^    #[0-9]+ 0x' errors
	grep -qE '^    \([0-9]+ frames of the interpreter left out\)$' errors
	"$sockleak" run -- /usr/bin/python3 "$program" two-lines 2>text
	grep -qE "^      Pool\.checkout +$program:$(line other)\$" text
	run -1 grep Py_RunMain text
	run -1 grep -E '^    #[0-9]+ 0x' text
	"$sockleak" run --verbose -- /usr/bin/python3 "$program" two-lines 2>text
	grep -q '^    #0 socket.accept at /usr/lib/python3' text
	grep -qE '^    #[0-9]+ 0x[0-9a-f]+ in Py_RunMain' text
}

@test "languages=no gives the interpreter's frames alone" {
	SOCKLEAK_OPTIONS=languages=no watched two-lines
	equal '[null]' "$(of '[.leaks[].origin[].language] | unique')"
}

@test "threads, coroutines, lambdas and names that are not ASCII have their lines" {
	watched in-thread
	equal 1 "$(of '.leaks | length')"
	lines_of origin | grep -q "Pool.checkout:$(line checkout) in_thread.<locals>.<lambda>:"
	watched asyncio
	equal 2 "$(of '[.leaks[].count] | add')"
	equal 'true' "$(of 'all(.leaks[]; any(.origin[]; .language == "python" and (.function | endswith(".sock_accept"))))')"
	lines_of origin | grep -q 'with_asyncio.<locals>.accept:'
	watched names
	lines_of origin | grep -q 'of_names.<locals>.Übung.öffne:'
}

@test "code that is compiled again and again is one place" {
	watched compiled
	equal '[50]' "$(of '[.leaks[].count]')"
	equal '["<module>",3]' "$(of '[.leaks[0].origin[] | select(.file == "made.py")][0] | [.function, .line]')"
	alone format=json compiled
	equal 1 "$(jq -s '[.[] | select(.event == "leak").id] | unique | length' errors)"
}

@test "of a deep recursion the innermost frames are kept, as many as frames= says" {
	SOCKLEAK_OPTIONS=frames=20 watched deep
	equal 2 "$(of '[.leaks[].count] | add')"
	equal 20 "$(of '[.leaks[0].origin[] | select(.language)] | length')"
	equal '"Pool.checkout"' "$(of '[.leaks[0].origin[] | select(.language == "python")][1].function')"
}

@test "a child has the lines of its own, and so has a program that it executes" {
	watched forked
	equal 1 "$(of '[.leaks[].count] | add')"
	lines_of origin | grep -q "Pool.checkout:$(line checkout) forked:"
	watched executed
	equal '[25,75]' "$(of '[.leaks[].count] | sort')"
	lines_of origin | grep -q "Pool.checkout:$(line other) two_lines:"
}

@test "what the program notes stands before its lines" {
	watched noted
	equal '[["note","first"],["note","second"]]' "$(of '[.leaks[].origin[0] | [.language, .function]] | sort')"
	"$sockleak" run -- /usr/bin/python3 "$program" noted 2>text
	# Which of the two comes first is open: they differ in nothing else.
	grep -EA1 '^      note: (first|second)$' text | grep -qE '^      Pool\.checkout +'
	grep -qx '      note: first' text
	grep -qx '      note: second' text
	run -1 grep -E ' $' text
}

@test "the line that shut it down is where the program knew" {
	watched shut
	lines_of eof | grep -q "shut:$(line shut)"
}

@test "rules match functions and files of Python, in the library too" {
	local rule
	for rule in '^Pool.checkout$' 'python_places.py$' '^two_lines'; do
		echo "leak:$rule" >rules
		watched two-lines --suppressions=rules
		equal '[]' "$(of .leaks)"
		alone format=json:suppressions=$PWD/rules two-lines
		equal '' "$(jq -c 'select(.event == "leak")' errors)"
	done
	"$sockleak" run --gen-suppressions -- /usr/bin/python3 "$program" two-lines 2>text
	grep -qx 'leak:^Pool.checkout\$' text
}

@test "a process that was killed has its lines, and list shows one while it runs" {
	mkfifo stdin
	SOCKLEAK_OPTIONS=grace=50ms:interval=20ms:log=none:ledger=$PWD/ledgers \
		LD_PRELOAD=$(sanitizer_first)$library /usr/bin/python3 "$program" killed <stdin >out 3>&- &
	pid=$!
	exec 5>stdin
	wait_until 60 is_listed
	"$sockleak" list "$pid" | grep -q "by accept4 in Pool.checkout .*python_places.py:$(line checkout)"
	kill -KILL "$pid"
	wait "$pid" || true
	pid=
	exec 5>&-
	json_of ledgers
	lines_of origin | grep -q "Pool.checkout:$(line checkout) killed:"
}

# Its leak is in the ledger, with its line.
is_listed() {
	"$sockleak" list --json=json "$pid" >text && valid_report json &&
		jq -e '[.processes[].sockets[] | select(.verdict == "grace").origin.function] | index("Pool.checkout")' json >indexed
}
