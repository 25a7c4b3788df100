#!/usr/bin/env bats
# What `sockleak symbolize` does with a log; which names it finds is in symbols.bats.

load ../lib/common

setup() {
	sanitizer_options
	common_setup
	source=$PWD/tests/lib/frames.c
	cd "$BATS_TEST_TMPDIR" || return 1
}

# A program whose log is in the file log.
build() {
	cc -g -O1 -DPART -fPIC -shared -o libpart.so "$source"
	cc -g -O1 -Wl,-rpath,"$PWD" -o program "$source" -L. -lpart
	"$PWD/program" >log
}

@test "what is no frame passes through byte by byte" {
	{
		printf '==1==ERROR: sockleak: 3 sockets left in CLOSE_WAIT by their owner, oldest 1m04s\n'
		printf '  why: eof-read. 127.0.0.1:8080 <- 127.0.0.1:40112 (fd 7). Unread: 0 bytes.\n\n'
		printf 'issue #12 0x\n#1 0x12\n    #99999999999 0x1 in f+0x1 (/bin/true+0x1)\n'
		printf '    #0 0x1 in f (/bin/true+0x1)\n    #0 0x1 (outside all modules)\n    #0 0x1 (relative+0x1)\n'
		printf '    #0 0x1 in f+0x1 (/bin/true+0x)\n    #0 0x1 (/bin/true+0x1) (BuildId: zz)\n#0 0x1 ()\n#0 0x1 (/\n'
		printf '    #0 0x1 in f /src/f.c:3 (/bin/true+0x1)\n    #0 0x1 (/nowhere+0x10)\r\n'
		printf 'zero \0 byte\nno \033[1mcolour\n'
		head -c 20000 /dev/urandom
	} >odd
	"$sockleak" symbolize odd >out
	cmp odd out
	"$sockleak" symbolize <odd | cmp odd -
	"$sockleak" symbolize - <odd | cmp odd -
}

@test "frames are found behind what a logger puts before them" {
	build
	sed 's/^/Nov 22 10:00:00 host app[4711]: /' log >journal
	run "$sockleak" symbolize journal
	[[ ${lines[0]} == "Nov 22 10:00:00 host app[4711]:     #0 0x"*" in static_function $source:"* ]]
}

@test "a frame that was found by frame pointer is named, and keeps its mark" {
	build
	sed 's/$/ by frame pointer/' log >marked
	"$sockleak" symbolize log >out
	grep -q "static_function $source:" out
	diff <(sed 's/$/ by frame pointer/' out) <("$sockleak" symbolize marked)
}

@test "frames are counted on after an inlined one, and from 0 in the next backtrace" {
	build
	{ sed -n 3p log; echo '    #3 0x1 (/nowhere+0x1)'; echo '  why:'; sed -n 1p log; } >two
	sed -i 's/#2/#0/; s/#3/#1/' two
	run "$sockleak" symbolize two
	[[ ${lines[0]} == "    #0 "*" in inner_function "*" (inlined) "* ]]
	[[ ${lines[1]} == "    #1 "*" in static_function "* ]]
	[ "${lines[2]}" = "    #2 0x1 (/nowhere+0x1)" ]
	[ "${lines[3]}" = "  why:" ]
	[[ ${lines[4]} == "    #0 "*" in static_function "* ]]
}

@test "the library's hint to call this command is left out" {
	build
	{ cat log; echo 'sockleak: `sockleak symbolize LOG` adds file and line to these frames.'; echo end; } >hinted
	"$sockleak" symbolize log >plain
	echo end >>plain
	"$sockleak" symbolize hinted | cmp plain -
}

@test "a symbolized log stays as it is" {
	build
	"$sockleak" symbolize log >once
	"$sockleak" symbolize once | cmp once -
}

@test "a path with blanks, brackets and plus signs is understood" {
	build
	mkdir 'a (b) +0x1'
	cp program 'a (b) +0x1/pro gram'
	run "$sockleak" symbolize <("$PWD/a (b) +0x1/pro gram" | head -1)
	[[ $output == *" in static_function $source:"*" ($PWD/a (b) +0x1/pro gram+0x"* ]]
}

@test "each line comes out as it goes in, for logs that are followed" {
	build
	coproc "$sockleak" symbolize
	local line pid=$COPROC_PID
	head -1 log >&"${COPROC[1]}"
	read -r -t 10 line <&"${COPROC[0]}"
	[[ $line == *" in static_function "* ]]
	eval "exec ${COPROC[1]}>&-"
	wait "$pid"
}

@test "a file that cannot be read, or too many, is one clear line and status 2" {
	run "$sockleak" symbolize nowhere.log
	[ "$status" -eq 2 ]
	[ "$output" = "sockleak: cannot open nowhere.log: No such file or directory" ]
	run "$sockleak" symbolize .
	[ "$status" -eq 2 ]
	[ "$output" = "sockleak: cannot read .: Is a directory" ]
	run "$sockleak" symbolize a b
	[ "$status" -eq 2 ]
	[[ $output == "sockleak: symbolize: "* ]]
	run "$sockleak" symbolize --nonsense
	[ "$status" -eq 2 ]
	[[ $output == *"--nonsense"* ]]
}

@test "a full disk is said" {
	echo line >log
	run bash -c '"$1" symbolize log >/dev/full' - "$sockleak"
	[ "$status" -eq 2 ]
	[ "$output" = "sockleak: cannot write standard output: No space left on device" ]
}

@test "--help has an example" {
	run "$sockleak" symbolize --help
	[ "$status" -eq 0 ]
	[[ $output == *Examples:* ]]
}

@test "a name that the library cut, or escaped, is found all the same" {
	local name top=${source%/tests/*} line
	line=$(sed -n '/ = accept(/=' "$top/tests/fixtures/run_host.c")
	# 255 bytes end inside a character of the second; the last is longer than any buffer.
	for name in "$(printf 'long_%.0s' {1..60})" "$(printf 'é%.0s' {1..150})" "$(printf 'long_%.0s' {1..2000})"; do
		cc -g -O1 -I"$top/preload" -Daccept_client="$name" -o program "$top/tests/fixtures/run_host.c"
		LD_PRELOAD=$(sanitizer_first)${sockleak%/*}/libsockleak.so ./program leak 1 2>log
		grep -q "#0 0x[0-9a-f]* in ${name:0:100}" log
		"$sockleak" symbolize log >out
		grep -q "^    #0 0x[0-9a-f]* in $name $top/tests/fixtures/run_host.c:$line ($PWD/program+0x" out
	done
}
