#!/usr/bin/env bats
# Backtraces through code that a just-in-time compiler makes: V8's, which keeps frame
# pointers, and LuaJIT's, which keeps none.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
	plain_build "node is built without it"
	pid=
}

teardown() {
	[ -z "$pid" ] || rm -rf "/tmp/perf-$pid.map"
}

# A connection whose end is read, and which is kept.
node_script() {
	cat >leaks.js <<-'END'
		const net = require("net");
		const server = net.createServer((peer) => peer.end());
		server.listen(0, "127.0.0.1", () => {
			const {port} = server.address();
			net.connect({port, host: "127.0.0.1", allowHalfOpen: true})
				.resume().on("end", () => process.exit(0));
		});
	END
}

# Interpreted functions have code of their own, too.
node_leaks() {
	node_script
	"$sockleak" run --quiet --at-exit=all --ledger=kept -- node \
		--perf-basic-prof --interpreted-frames-native-stack leaks.js
	pid=$(basename kept/*.sockleak | cut -d. -f1)
	[ -s "/tmp/perf-$pid.map" ]
}

# Of the one leak: its frames from the innermost of generated code on.
frames() {
	"$sockleak" report --json=json --quiet kept
	of '.leaks[0] | (.origin_note // empty), (.origin | until(.[0].module == null; .[1:])[] |
		[.function, .by, (.module // "/" | sub(".*/"; ""))])'
}

names() {
	frames | jq -r 'select(.[2] == "") | .[0] | tostring'
}

@test "through V8's code to the start of the program, by the names it has left for perf" {
	node_leaks
	run -0 frames
	[[ ${lines[0]} == '["JS:internalConnect node:net:'*',null,""]' ]]
	[[ ${lines[1]} == '["JS:'*',"frame-pointer",""]' ]]
	[[ $output == *'["JS:processTicksAndRejections '*',"frame-pointer",""]'*'["v8::Function::Call('*',"frame-pointer","node"]'* ]]
	equal '["_start","frame-pointer","node"]' "${lines[-1]}"
	valid_report json
	run -0 "$sockleak" report --verbose kept
	grep -qE '^ +#[0-9]+ 0x[0-9a-f]+ in JS:internalConnect node:net:[0-9:]+ \(outside all modules\)$' <<<"$output"
}

@test "names of another process, of another time or of no file are not believed" {
	node_leaks
	map=/tmp/perf-$pid.map
	all=$(names)
	[[ $all == *JS:* ]]
	none=$(sed 's/.*/null/' <<<"$all")
	cp -p "$map" there
	touch -d '1 hour ago' "$map"
	equal "$none" "$(names)"
	touch -d '1 hour' "$map"
	equal "$none" "$(names)"
	for make in 'mkfifo' 'mkdir' 'ln -s /dev/zero' 'true'; do
		rm -rf "$map"
		$make "$map"
		equal "$none" "$(names)"
	done
	rm -rf "$map"
	cp -p there "$map"
	equal "$all" "$(names)"
	if [ "$(id -u)" = 0 ]; then
		chown nobody "$map"
		equal "$none" "$(names)"
	fi
}

@test "nor of a process that counts in another PID namespace" {
	unshare -pmf true 2>/dev/null || skip "namespaces are not permitted here"
	node_script
	mkdir kept
	pid=1
	unshare -pmf --mount-proc env LD_PRELOAD="$library" \
		SOCKLEAK_OPTIONS="at_exit=all:log=none:ledger=$PWD/kept" node \
		--perf-basic-prof --interpreted-frames-native-stack leaks.js
	[ -s "/tmp/perf-$pid.map" ]
	equal "$(names | sed 's/.*/null/')" "$(names)"
}

@test "a log marks what was found by frame pointer" {
	node_script
	LD_PRELOAD=$library SOCKLEAK_OPTIONS=at_exit=all:log=log node \
		--interpreted-frames-native-stack leaks.js
	grep -qE '^    #[0-9]+ 0x[0-9a-f]+ \(outside all modules\)$' log
	grep -qE '^    #[0-9]+ 0x[0-9a-f]+ \(outside all modules\) by frame pointer$' log
	grep -qE '^    #[0-9]+ 0x[0-9a-f]+ in _start.* \(.*/node\+0x[0-9a-f]+\) by frame pointer$' log
}

# Compiled code calls socket() itself; what runs before it is compiled is the interpreter.
@test "code without a frame pointer ends the backtrace" {
	cat >leaks.lua <<-'END'
		local ffi = require("ffi")
		ffi.cdef("int socket(int, int, int); int connect(int, const void *, unsigned);" ..
			"int accept(int, void *, void *); int close(int); int listen(int, int);" ..
			"int getsockname(int, void *, unsigned *); long read(int, void *, long);")
		local C, address, bytes = ffi.C, ffi.new("char[16]"), ffi.new("unsigned[1]", 16)
		local listener = C.socket(2, 1, 0)
		C.listen(listener, 5)
		C.getsockname(listener, address, bytes)
		for i = 1, 200 do
			local client = C.socket(2, 1, 0)
			C.connect(client, address, 16)
			C.close(C.accept(listener, nil, nil))
			C.read(client, address + 8, 0)
		end
	END
	"$sockleak" run --quiet --at-exit=all --ledger=kept -- luajit leaks.lua
	"$sockleak" report --json=json --quiet kept
	equal 200 "$(of '[.leaks[].count] | add')"
	equal '[["short",1],[null,0]]' "$(of '[.leaks[] | [.origin_note,
		([.origin[] | select(.module == null)] | length)]] | unique | sort_by(.[1]) | reverse')"
	equal '"main"' "$(of '.leaks[] | select(.origin_note == null) |
		[.origin[].function | select(. == "main")][0]')"
	equal 1 "$(of '[.leaks[] | select(.origin_note == "short").origin | length] | max')"
}
