#!/usr/bin/env bats
# The report of `sockleak run` where nobody reads it, or not all of it, or it is to end.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	run_setup
	export TMPDIR=$PWD/tmp
	mkdir "$TMPDIR"
	mkfifo pipe
}

nothing_is_left() {
	equal "" "$(ls -A "$TMPDIR")"
}

@test "a reader that has gone changes no status and leaves no files" {
	local got=0 reader
	: <pipe &
	reader=$!
	"$sockleak" run --json=json -- "$host" say ready leak 3 wait go exit 5 >said 2>pipe &
	wait "$reader"
	wait_until 60 grep -q ready said
	touch go
	wait $! || got=$?
	equal 5 "$got"
	valid_report json
	nothing_is_left
}

@test "the program is told of a reader that has gone as it would be without run" {
	run -0 --separate-stderr "$sockleak" run --quiet -- \
		grep -E '^(SigIgn|SigBlk)' /proc/self/status
	equal "$(grep -E '^(SigIgn|SigBlk)' /proc/self/status)" "$output"
}

# The report is larger than the pipe, in which it waits for a reader.
is_full() {
	/usr/bin/python3 -c 'import array, fcntl, sys, termios
n = array.array("i", [0])
fcntl.ioctl(8, termios.FIONREAD, n)
sys.exit(n[0] < 65536)'
}

@test "a report that hangs is ended by a signal, and leaves no files" {
	local got=0 run
	exec 8<>pipe
	"$sockleak" run --json --quiet -- "$host" leak 400 exit 0 >pipe 8<&- &
	run=$!
	wait_until 60 is_full
	kill -TERM "$run"
	wait "$run" || got=$?
	equal 143 "$got"
	nothing_is_left
}

@test "a report that ends soon is finished in spite of a signal" {
	local got=0 run
	exec 8<>pipe
	"$sockleak" run --json --quiet -- "$host" leak 400 exit 4 >pipe 8<&- &
	run=$!
	wait_until 60 is_full
	kill -TERM "$run"
	exec 9<pipe 8<&-
	cat <&9 >json
	wait "$run" || got=$?
	equal 4 "$got"
	valid_report json
	nothing_is_left
}
