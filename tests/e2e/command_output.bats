#!/usr/bin/env bats
# What the command writes, and where: files, pipes, standard output.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	run_setup
	export TMPDIR=$PWD # what is killed cleans nothing up
	make_ledgers leak
}

@test "two formats in one place are refused" {
	run -2 "$sockleak" report --json --tap ledgers
	equal "sockleak: report: --json and --tap would both be written to standard output (--FORMAT=FILE) (see sockleak report --help)" "$output"
	run -2 "$sockleak" report --folded --junit=- ledgers
	run -2 "$sockleak" report --json=out --tap=out ledgers
	equal "sockleak: report: --json and --tap would both be written to out (see sockleak report --help)" "$output"
	# By whatever names; a device takes both.
	run -2 "$sockleak" report --json=out --tap=./out ledgers
	run -2 "$sockleak" report --json=out --tap="$PWD/out" ledgers
	ln -s out link
	touch out
	run -2 "$sockleak" report --json=out --tap=link ledgers
	run -2 bash -c "'$sockleak' report --json --tap=out ledgers >out"
	run -0 bash -c "'$sockleak' report --json --tap=/dev/null --junit=/dev/null ledgers >/dev/null"
	rm out
	run -125 "$sockleak" run --json --tap touch ran
	[ ! -e ran ]
	"$sockleak" report --json=json --tap --junit=junit ledgers >tap
	valid_report json
	equal "TAP version 13" "$(head -1 tap)"
}

@test "a format that is followed by what looks like its file says where a file belongs" {
	printf '#!/bin/sh\ntouch ran\n' >out.json
	chmod +x out.json
	run -125 "$sockleak" run --json ./out.json true
	equal "sockleak: run: --json takes its value after '=': --json=./out.json (see sockleak run --help)" "$output"
	[ ! -e ran ]
	local words
	for words in "report --tap out.tap ledgers" "report ledgers --folded out.txt" "list --json out.json" "scan --json out.json"; do
		# shellcheck disable=SC2086 # these are words
		run -2 "$sockleak" $words
		[[ $output == *" takes its value after '=': --"*=out.* ]] || { echo "$output"; false; }
	done
	# By what stands there, too: a program or a ledger is only behind it.
	run -125 "$sockleak" run --json out sh -c "touch ran"
	equal "sockleak: run: --json takes its value after '=': --json=out (see sockleak run --help)" "$output"
	run -2 "$sockleak" report --tap out ledgers
	equal "sockleak: report: --tap takes its value after '=': --tap=out (see sockleak report --help)" "$output"
	run -2 "$sockleak" list --json out $$
	equal "sockleak: list: --json takes its value after '=': --json=out (see sockleak list --help)" "$output"
	run -127 "$sockleak" run --json missing
	# It is the program's own option, or no file at all.
	run -0 "$sockleak" run --quiet -- echo --json out.json
	equal "--json out.json" "$output"
	run -0 "$sockleak" run --json=- --quiet -- ./out.json
	[ -e ran ]
}

@test "--output has the text, in place of the terminal, beside other formats" {
	"$sockleak" report ledgers >text
	run -0 "$sockleak" report -o out ledgers
	equal "" "$output"
	diff text out
	run -0 "$sockleak" report --quiet --output=quiet ledgers
	equal "" "$output"
	diff text quiet
	"$sockleak" report --json -o out2 ledgers >json
	valid_report json
	diff text out2
	run ! grep -q $'\e' out
	"$sockleak" report --color -o colored ledgers
	grep -q $'\e' colored
	run -2 "$sockleak" report -o out --json=./out ledgers
	equal "sockleak: report: --output and --json would both be written to ./out (see sockleak report --help)" "$output"
	run -0 --separate-stderr "$sockleak" run --grace=0s -o run.txt -- "$host" leak 1 say said
	equal "said " "$output $stderr"
	grep -q "==ERROR: sockleak: 1 socket" run.txt
	run -0 --separate-stderr "$sockleak" run --grace=0s -o - -- "$host" leak 1
	equal "" "$stderr"
	[[ $output == *"==ERROR: sockleak: 1 socket"* ]]
	run -125 "$sockleak" run -o /nowhere/out touch ran
	equal "sockleak: cannot open /nowhere/out: No such file or directory" "$output"
	[ ! -e ran ]
	local command
	for command in list scan; do
		run -0 --separate-stderr "$sockleak" "$command" -o "$command.txt"
		equal " " "$output $stderr"
		grep -q '^sockleak: ' "$command.txt"
		run -0 "$sockleak" "$command" -q
		equal "" "$output"
		run -2 "$sockleak" "$command" -o /nowhere/out
	done
}

@test "an option of the library that is given to -o is answered with -O" {
	run -125 "$sockleak" run -o grace=5s touch ran
	equal "sockleak: run: -o, --output is the file of the text (an option of the library is -O NAME=VALUE), not 'grace=5s' (see sockleak run --help)" "$output"
	[ ! -e ran ]
	[ ! -e grace=5s ]
	run -0 "$sockleak" run -o ./grace=5s true
	[ -e grace=5s ]
}

@test "a file keeps what stands in it until all of the new text is there" {
	echo old | tee known.txt leaks.json >/dev/null
	"$sockleak" run --quiet --write-baseline=known.txt --json=leaks.json -- \
		"$host" say ready leak 1 wait go >said &
	local run=$!
	wait_until 60 grep -q ready said
	equal "old old" "$(echo $(cat known.txt leaks.json))"
	kill -KILL "$run"
	wait "$run" || true
	touch go
	equal "old old" "$(echo $(cat known.txt leaks.json))"
	run ! compgen -G "known.txt?*"
	"$sockleak" report --quiet --write-baseline=known.txt --json=leaks.json ledgers
	valid_report leaks.json
	grep -q '^[0-9a-f]\{16\} ' known.txt
	run ! compgen -G "leaks.json?*"
	# A program that cannot be run costs no file either.
	run -127 "$sockleak" run --json=leaks.json --junit=junit ./missing
	valid_report leaks.json
	[ ! -e junit ]
}

@test "a file that is written over keeps its mode, its links and its other names" {
	mkdir real
	echo old >real/file
	chmod 640 real/file
	ln -s real/file link
	"$sockleak" report --quiet --json=link ledgers
	valid_report real/file
	[ -L link ]
	equal 640 "$(stat -c %a real/file)"
	ln real/file other
	"$sockleak" report --quiet --tap=link ledgers
	equal "TAP version 13" "$(head -1 other)"
	ln -s real/new dangling
	"$sockleak" report --quiet --json=dangling ledgers
	valid_report real/new
	umask 027
	"$sockleak" report --quiet --json=made ledgers
	equal 640 "$(stat -c %a made)"
	"$sockleak" report --quiet --json=>(cat >piped) ledgers
	wait_until 60 valid_report piped
}
