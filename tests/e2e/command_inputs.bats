#!/usr/bin/env bats
# What the command reads: its arguments, ledgers, and files whose names stand in ledgers.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
}

@test "a pipe or a device is not opened, neither as a ledger nor as a module" {
	cp "$fixtures/make_ledgers" app
	./app leak ledgers
	run -0 "$top/tests/lib/opened" app "$sockleak" report ledgers
	[ "$output" -gt 0 ]
	rm app
	mkfifo app
	run -0 "$top/tests/lib/opened" app "$sockleak" report ledgers
	equal 0 "$output"
	run -2 "$top/tests/lib/opened" app "$sockleak" report app
	equal 0 "$output"
	run -2 --separate-stderr "$sockleak" report app
	equal "sockleak: cannot read app: it is not a regular file" "$stderr"
	run -2 "$top/tests/lib/opened" /dev/full "$sockleak" report /dev/full
	equal 0 "$output"
}

@test "a ledger that is named twice is counted once" {
	make_ledgers leak
	mkdir copy
	cp ledgers/* copy
	json_of ledgers
	mv json once
	json_of ledgers ledgers/*.sockleak copy
	diff once json
}

@test "a duration has a fraction or no unit, in the command as in the library" {
	local good bad
	for good in 1.5s 10 0.25h 999999999ms; do
		run -0 --separate-stderr "$sockleak" run --quiet --grace="$good" "$fixtures/run_host"
		equal "" "$stderr"
		run -0 "$sockleak" scan --grace="$good"
		SOCKLEAK_OPTIONS=grace=$good LD_PRELOAD=$(sanitizer_first)$build/libsockleak.so run -0 \
			"$fixtures/run_host" open
		equal "" "$output"
	done
	for bad in .5s 1000000000ms 1.s 5x; do
		run -125 "$sockleak" run --grace="$bad" true
		equal "sockleak: run: --grace is a duration as 500ms, 1.5s or 2m, not '$bad' (see sockleak run --help)" "$output"
		run -2 "$sockleak" scan --grace="$bad"
	done
}

@test "the option that is wrong is the one that is named" {
	# says MESSAGE OPTION...
	says() {
		run -2 "$sockleak" report "${@:2}" ledgers
		equal "sockleak: report: $1 (see sockleak report --help)" "$output"
	}
	says "there is no option -x" --quiet -xy
	says "there is no option -x" -xy
	says "there is no option -x" -x --quiet
	says "there is no option -\\xc3" --quiet $'-\xc3\xa9'
	says "--quiet takes no value" --quiet=1
	says "--help takes no value" --help=1
	says "there is no option --nonsense" --nonsense=1
	says "--color is always, auto or never, not 'pink'" --color=pink
	says "--late is show, leak or none, not 'then'" --late=then
	run -2 "$sockleak" report ledgers --junit
	equal "sockleak: report: --junit needs a value (see sockleak report --help)" "$output"
	run -125 "$sockleak" run --quiet -O
	equal "sockleak: run: -O needs a value (see sockleak run --help)" "$output"
	run -125 "$sockleak" run --option=frames true
	equal "sockleak: run: -O takes NAME=VALUE, not 'frames' (see sockleak run --help)" "$output"
}

@test "no byte of a name in a message steers a terminal" {
	local name
	for name in $'a\xc2\x9b31mb' $'a\x9b31mb' $'a\e[31m\nb' $'a\xe2\x80\xaeb'; do
		run -2 --separate-stderr "$sockleak" report "$name"
		[ "$(tr -d '\n -~' <<<"$stderr" | wc -c)" -eq 0 ] || { cat -v <<<"$stderr"; false; }
		equal 1 "${#stderr_lines[@]}"
	done
}

@test "no output becomes the report of a closed descriptor" {
	make_ledgers leak
	"$sockleak" report --json=json ledgers >text 2>&-
	valid_report json
	"$sockleak" report --json=json ledgers <&- >text 2>errors
	valid_report json
	run -2 bash -c "'$sockleak' report --json=json ledgers >&-"
	equal "sockleak: cannot write the report: Bad file descriptor" "$output"
	valid_report json
	# A program that is run has them closed, as it would have had.
	run -0 bash -c "'$sockleak' run --quiet -- sh -c 'readlink /proc/\$\$/fd/0 /proc/\$\$/fd/2' <&- 2>&- | cat"
	equal "" "$output"
}

@test "what other tools take is taken, or answered with what to write" {
	run -2 "$sockleak" "$fixtures/run_host" open
	equal "sockleak: '$fixtures/run_host' is no command, but a program: sockleak run -- $fixtures/run_host" "$output"
	run -2 "$sockleak" ./missing
	equal "sockleak: './missing' is no command (see sockleak --help)" "$output"
	local version words
	version=$("$sockleak" --version)
	for words in -V "run --version" "run -V" "report --version" "list -V" "scan -V" "symbolize -V" "report --quiet --version"; do
		# shellcheck disable=SC2086 # these are words
		equal "$version" "$("$sockleak" $words)"
	done
	equal "$("$sockleak" --help)" "$("$sockleak" help)"
	local command
	for command in run report list scan symbolize; do
		equal "$("$sockleak" "$command" --help)" "$("$sockleak" help "$command")"
		equal "$("$sockleak" "$command" -h)" "$("$sockleak" help "$command")"
		[ "$("$sockleak" help "$command" | wc -L)" -le 80 ]
	done
	make_ledgers leak
	equal "$("$sockleak" report --quiet ledgers)" "$("$sockleak" report -q ledgers)"
	equal "$("$sockleak" report --verbose ledgers)" "$("$sockleak" report -v ledgers)"
	run -0 "$sockleak" run -qv -- "$fixtures/run_host" say said
	equal said "$output"
}

@test "--color without a value is always, and takes no word that follows" {
	make_ledgers leak
	equal "$("$sockleak" report --color=always ledgers)" "$("$sockleak" report --color ledgers)"
	[[ $("$sockleak" report --color ledgers) == *$'\e'* ]]
	run -0 "$sockleak" run --color --quiet -- "$fixtures/run_host" say said
	equal said "$output"
	run -125 "$sockleak" run --color never true
	equal "sockleak: run: --color takes its value after '=': --color=never (see sockleak run --help)" "$output"
}
