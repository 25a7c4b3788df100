#!/usr/bin/env bats
# sockleak run: the program's own behaviour, and one report over all its processes.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	run_setup
	export TMPDIR=$PWD/tmp
	mkdir "$TMPDIR"
}

# Whatever a test does, nothing is left of the temporary directories.
teardown() {
	[ -z "$(ls -A "$TMPDIR" 2>/dev/null)" ] || { ls -lR "$TMPDIR"; return 1; }
}

# ran STATUS ARGUMENTS...: of `sockleak run`, with the report in `json`, valid
ran() {
	local expected=$1
	shift
	run "-$expected" --separate-stderr "$sockleak" run --json=json "$@"
	valid_report json
}

# summary_of: the processes as [ended, leaked], and the places
processes() {
	of '[.processes[] | [.ended, .leaked]]'
}

@test "the program's output, input, arguments and status are its own" {
	run -7 --separate-stderr bash -c "echo input | '$sockleak' run -- sh -c 'cat; echo \"\$0 \$1\" >&2; exit 7' 'a b' ''"
	equal input "$output"
	[[ ${stderr_lines[0]} == "a b " ]]
	run -143 --separate-stderr "$sockleak" run --quiet -- "$host" kill 15
	run -134 --separate-stderr "$sockleak" run --quiet -- "$host" kill 6
	run -3 "$sockleak" run --quiet "$host" exit 3 # options end at the program
}

@test "N of --error-exitcode replaces 0, where a socket leaked, and nothing else" {
	ran 9 --error-exitcode=9 "$host" leak 1
	ran 0 --error-exitcode=9 "$host" open exit 0
	ran 4 --error-exitcode=9 "$host" leak 1 exit 4
	ran 137 --error-exitcode=9 "$host" leak 1 kill 9
	ran 0 "$host" leak 1
}

@test "the report stands on standard error, once, and ends in the summary" {
	run -0 --separate-stderr "$sockleak" run "$host" leak 3 say hello
	equal hello "$output"
	equal 1 "$(grep -c '==ERROR: sockleak: 3 sockets leaked at 1 place' <<<"$stderr")"
	[[ ${stderr_lines[-1]} == *"==SUMMARY: sockleak: 3 sockets leaked at 1 place;"* ]]
	run -0 --separate-stderr "$sockleak" run --quiet "$host" leak 3
	equal "" "$output$stderr"
}

@test "the call, its function, file and line are those of the source" {
	ran 0 "$host" leak 2
	local line
	line=$(grep -n 'accept(ls' "$top/tests/fixtures/run_host.c" | cut -d: -f1)
	equal "[\"close-wait\",[\"eof-read\"],2,\"accept\",\"accept_client\",$line,\"recv\"]" \
		"$(of '.leaks[0] | [.kind, .why, .count, .call, .origin[0].function, .origin[0].line, .eof_call]')"
	[[ $(of '.leaks[0].origin[0].file') == *"tests/fixtures/run_host.c\"" ]]
	equal '["connection","leak"]' "$(of '[.leaks[0].origin[1,2].function]')"
}

@test "children are followed, and their leaks of one place are one place" {
	ran 6 "$host" leak 1 fork leak 1 fork leak 1 exit 6
	equal '["exit","exit","exit"]' "$(of '[.processes[].ended]')"
	equal 1 "$(of '.leaks | length')"
	equal 3 "$(of '.leaks[0].count')"
}

@test "a program in a script, started by env, is followed" {
	printf '#!/usr/bin/env -S bash -e\n"%s" leak 2\nexit 5\n' "$host" >script
	chmod +x script
	ran 5 ./script
	equal 2 "$(of '.leaks[0].count')"
}

@test "a program that is killed is reported, and said to have ended by the signal" {
	ran 137 "$host" leak 2 kill 9
	equal '[["signal",2]]' "$(processes)"
	equal '["exit"]' "$(of '[.leaks[0].sockets[].verdict] | unique')"
}

@test "a program that becomes another is not judged by what the first was told" {
	ran 0 "$host" leak 1 exec true
	equal '[["exec",0]]' "$(processes)"
	ran 0 "$host" leak 1 exec "$host" leak 2
	equal '[["exec",0],["exit",2]]' "$(processes)"
}

@test "a child that outlives the program is reported as it is, and said to run" {
	ran 0 "$host" open outlive go exit 0
	touch go
	rm -r "$TMPDIR"/sockleak-* # told in tests/e2e/unwatched.bats
	equal '["exit","running"]' "$(of '[.processes[].ended]')"
	equal 0 "$(of '.leaks | length')" # not yet: it may still close what it was told of
}

@test "what cannot be found or run has the status and the reason a shell gives" {
	run -127 --separate-stderr "$sockleak" run -- no-such-program
	equal "sockleak: cannot run no-such-program: No such file or directory" "$stderr"
	run -127 --separate-stderr "$sockleak" run -- ./no-such-program
	touch file
	run -126 --separate-stderr "$sockleak" run -- ./file
	equal "sockleak: cannot run ./file: Permission denied" "$stderr"
	run -126 --separate-stderr "$sockleak" run -- /tmp
	printf '#!/no/such/interpreter\n' >file
	chmod +x file
	run -127 --separate-stderr "$sockleak" run -- ./file
	equal "sockleak: cannot run ./file: No such file or directory" "$stderr"
}

# refuses FILE REASON: also behind a script and behind env, and not with --force
refuses() {
	run -126 --separate-stderr "$sockleak" run -- "$1"
	equal "sockleak: cannot run $1: it $2 (--force runs it all the same)" "$stderr"
	printf '#!%s\n' "$(realpath "$1")" >script
	chmod +x script
	[ -n "$3" ] || return 0
	run -126 --separate-stderr "$sockleak" run -- ./script
	[[ $stderr == *"it is a script whose interpreter $(realpath "$1") $2"* ]]
	printf '#!/usr/bin/env -S A=b %s\n' "$(realpath "$1")" >script
	run -126 --separate-stderr "$sockleak" run -- ./script
	run -3 --separate-stderr "$sockleak" run --force --quiet -- "$1"
}

@test "a static program is refused by name and reason, a script of it too, but for --force" {
	cc -static -x c -o static - <<<'int main(void) { return 3; }'
	refuses ./static "is statically linked, so nothing can be preloaded into it" script
	cc -static-pie -x c -o static_pie - <<<'int main(void) { return 3; }'
	refuses ./static_pie "is statically linked, so nothing can be preloaded into it" script
}

@test "a program of another C library is refused" {
	plain_build "the runtime needs glibc"
	musl-gcc -x c -o other - <<<'int main(void) { return 3; }'
	refuses ./other "uses another C library than glibc (its loader is $(readelf -l other | grep -o '/lib/ld-musl[^]]*'))" script
}

@test "a program for another machine or of another class is refused" {
	cp /bin/true foreign
	printf '\xb7' | dd of=foreign bs=1 seek=18 conv=notrunc status=none
	refuses ./foreign "is a program for aarch64, and this sockleak is for $(uname -m)"
	printf '\177ELF\1\1\1%-9s\2\0\3\0%-40s' '' '' | tr ' ' '\0' >small
	chmod +x small
	run -126 --separate-stderr "$sockleak" run -- ./small
	[[ $stderr == *"is a program for i386"* ]]
}

@test "a program that gains rights is refused, one that would gain none is not" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to make a file that is not its caller's"
	cp /bin/true gains
	chown nobody gains
	chmod u+s gains
	refuses ./gains "is setuid, and the loader ignores LD_PRELOAD in programs that gain rights"
	chown root gains
	chmod u+s gains
	run -0 "$sockleak" run --quiet -- ./gains
	chgrp nogroup gains
	chmod u-s,g+s gains
	refuses ./gains "is setgid, and the loader ignores LD_PRELOAD in programs that gain rights"
}

@test "signals sent to run reach the program, each once" {
	"$sockleak" run --quiet -- "$host" signals >signals &
	local run=$! got=0
	wait_until 60 grep -q ready signals
	local signal
	for signal in HUP INT QUIT USR1 USR2 ALRM WINCH; do
		kill "-$signal" "$run"
		wait_until 60 grep -qx "$(kill -l "$signal")" signals
	done
	kill -TERM "$run"
	wait "$run" || got=$?
	equal 0 "$got"
	equal "ready 1 2 3 10 12 14 15 28" "$(sort -n signals | tr '\n' ' ' | sed 's/ $//')"
}

@test "an alarm that was set before run was executed ends the program" {
	run -142 /usr/bin/python3 -c 'import os, signal, sys
signal.setitimer(signal.ITIMER_REAL, 0.3)
os.execv(sys.argv[1], sys.argv[1:])' "$sockleak" run --quiet -- sleep 10
}

@test "signals sent to the whole group reach the program, each once, and so do those to run" {
	setsid "$sockleak" run --quiet -- "$host" signals >signals &
	local run=$! signal n=0
	wait_until 60 grep -q ready signals
	for signal in INT USR1 INT; do
		# To the group; then to run alone, which shows that nothing more was on its way.
		n=$((n + 2))
		kill "-$signal" -- "-$run"
		wait_until 60 at_least $((n - 1)) signals
		# Two that wait for run would be one.
		wait_until 60 grep -qE '^ShdPnd:\s*0+$' "/proc/$run/status"
		kill "-$signal" "$run"
		wait_until 60 at_least "$n" signals
	done
	kill -TERM "$run"
	wait "$run"
	equal "ready 2 2 10 10 2 2 15" "$(tr '\n' ' ' <signals | sed 's/ $//')"
}

# at_least N FILE: lines behind the first
at_least() {
	[ "$(wc -l <"$2")" -gt "$1" ]
}

@test "the terminal's interrupt key reaches the program, once" {
	run -0 "$top/tests/lib/terminal" "expect:ready key:C expect:2 key:C expect:2 key:C expect:2 signal:TERM end" \
		"$sockleak" run --quiet -- "$host" signals
	equal 3 "$(grep -c 2 <<<"$output")"
}

@test "the terminal's stop key stops both, and both go on" {
	run -0 "$top/tests/lib/terminal" "expect:ready key:Z stopped continue touch:go expect:done end" \
		"$sockleak" run --quiet -- "$host" say ready wait go say done
}

@test "progress is shown on a terminal, taken away again, and nowhere else" {
	local watched=(run --grace=100ms -O interval=50ms)
	export TERM=xterm
	run -0 "$top/tests/lib/terminal" "expect:2_leaking touch:go end" \
		"$sockleak" "${watched[@]}" --progress -- "$host" leak 2 open wait go
	[[ $output == *$'\r\033[Ksockleak: '*" open, 2 leaking at 1 place"* ]] || { cat -v <<<"$output"; false; }
	[[ $output == *$'leaking at 1 place\r\033[K'* ]]
	rm go
	# No wider than the terminal: of 20 columns, one is left free.
	run -0 "$top/tests/lib/terminal" "expect:open,_2 touch:go end" \
		sh -c 'stty cols 20; exec "$@"' - "$sockleak" "${watched[@]}" --progress -- "$host" leak 2 open wait go
	[[ $output =~ $'\r\033[Ksockleak: '[0-9]' open, 2'$'\r' ]] || { cat -v <<<"$output"; false; }
	rm go
	# Nor unasked, where it would take a prompt of the program's away, nor where the
	# terminal cannot take it away again, nor where there is none.
	local i terminal=("$top/tests/lib/terminal" end)
	watched=("$sockleak" run --grace=1s -O interval=50ms)
	"${terminal[@]}" "${watched[@]}" --ledger=live.0 -- "$host" leak 2 open wait go >unasked &
	TERM=dumb "${terminal[@]}" "${watched[@]}" --ledger=live.1 --progress -- "$host" leak 2 open wait go >dumb &
	"${watched[@]}" --ledger=live.2 --progress -- "$host" leak 2 open wait go 2>errors &
	# Long enough for progress to have been shown: until a leak of that age is found.
	for i in 0 1 2; do
		wait_until 60 bash -c "'$sockleak' report --quiet --error-exitcode=1 live.$i; [ \$? -eq 1 ]"
	done
	touch go
	wait
	run ! grep -F $'\033[K' unasked dumb errors
	grep -q 'ERROR: sockleak: 2 sockets' unasked
	[[ $(cat errors) == "=="*"==ERROR: sockleak: 2 sockets"* ]]
}

@test "the ledgers of --ledger stay, and those of a former run are not reported again" {
	ran 0 --ledger=kept "$host" leak 1
	equal 700 "$(stat -c %a kept)"
	local first second
	# What became of the peers is known to run alone, which was there.
	first=$(of '.leaks | del(.[].sockets[].peer_state)')
	json_of kept
	equal "$first" "$(of '.leaks | del(.[].sockets[].peer_state)')"
	ran 0 --ledger=kept "$host" leak 1
	equal '[1,1]' "$(of '[(.processes | length), .leaks[0].count]')"
	json_of kept
	equal '[2,2]' "$(of '[(.processes | length), .leaks[0].count]')"
}

# anyones_run OPTION... -- VERB...: of run_host, where every user of the system may get at it
anyones_run() {
	local anyones left options=()
	[ "$(id -u)" -eq 0 ] || skip "only root has rights to give up"
	anyones=$(mktemp -d /tmp/anyones.XXXXXX)
	chmod 755 "$anyones"
	mkdir -m 755 "$anyones/tmp"
	cp "$sockleak" "$build/libsockleak.so" "$host" "$anyones"
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	TMPDIR=$anyones/tmp run -0 --separate-stderr "$anyones/sockleak" run --json=json --quiet \
		"${options[@]}" -- "$anyones/run_host" "${@:2}"
	left=$(ls -A "$anyones/tmp")
	rm -rf "$anyones"
	equal "" "$left"
}

@test "a child that gave up root's rights, as the workers of a server do, is reported" {
	anyones_run -- fork nobody leak 1
	equal '[["exit",1]]' "$(processes)"
	equal "" "$stderr"
}

@test "a child that may not keep its ledger says so at its end, if it leaked" {
	mkdir -m 700 kept
	anyones_run --ledger=kept -- fork nobody leak 1
	equal '[]' "$(processes)"
	[[ $stderr == "=="*"==WARNING: sockleak: the ledger directory cannot be opened: $PWD/kept" ]]
	anyones_run --ledger=kept -- fork nobody open
	equal "" "$stderr"
}

@test "the user's own options and preloads are kept, and options of run come after them" {
	export SOCKLEAK_OPTIONS="frames=9:grace=3s" LD_PRELOAD=libm.so.6
	run -0 --separate-stderr "$sockleak" run --quiet --grace=5s -O log=/a:b -- \
		/bin/sh -c 'echo "$SOCKLEAK_OPTIONS"; echo "$LD_PRELOAD"'
	[[ ${lines[0]} == "log=none:frames=9:grace=3s:grace=5s:log='/a:b':ledger='$TMPDIR/sockleak-"*"'" ]]
	[[ ${lines[1]} == "$TMPDIR/sockleak-"*"/libsockleak.so:libm.so.6" ]]
}

@test "a log that stayed empty goes, also one that a wrapper made, and one that was there stays" {
	run -0 "$sockleak" run --quiet -O log="$PWD/made" bash -c 'exec "$@"' - "$host" open exit 0
	[ ! -e made ]
	touch there
	run -0 "$sockleak" run --quiet -O log=there bash -c 'exec "$@"' - "$host" open exit 0
	[ -e there ]
	run -0 "$sockleak" run --quiet -O log="'made'" bash -c 'exec "$@"' - "$host" leak 1
	grep -q 'ERROR: sockleak: 1 socket' made
}

@test "with a log of the user's both speak" {
	run -0 --separate-stderr "$sockleak" run -O log=stderr "$host" leak 1
	equal 2 "$(grep -c '==ERROR: sockleak' <<<"$stderr")"
}

@test "the library is found beside the command, and never in the current directory" {
	mkdir moved
	cp "$sockleak" moved/
	cp "$build/libsockleak.so" .
	if [ ! -e /usr/local/lib/sockleak/libsockleak.so ]; then
		run -125 --separate-stderr moved/sockleak run true
		[[ $stderr == "sockleak: cannot find libsockleak.so"* ]]
	fi
	cp "$build/libsockleak.so" moved/
	run -0 moved/sockleak run --quiet sh -c 'readlink "$LD_PRELOAD"'
	equal "$PWD/moved/libsockleak.so" "$output"
}

@test "the parent of daemon() has ended by exit, and what goes on in the daemon is no leak of it" {
	local thread

	for thread in yes no; do
		"$sockleak" run --quiet --json=json -O "thread=$thread" -- "$host" leak 1 daemon
		equal '["exit",0]' "$(of '.processes[0] | [.ended, .leaked]')"
		equal '[]' "$(of .leaks)"
	done
}

@test "a program with the address sanitizer runs, its runtime before the library" {
	cc -fsanitize=address -x c -o asan - <<<'int main(void) { return 3; }'
	run -3 --separate-stderr "$sockleak" run --quiet -- ./asan
	equal "" "$stderr"
}

@test "what run itself cannot do has status 125 and leaves the program alone" {
	local wrong
	for wrong in "" "--nonsense true" "-o" "-o grace=1s true" "-O true" "-O grace true" "--json=/no/where touch ran" \
		"--suppressions=/no/where touch ran" "--ledger=/no/where touch ran" "-O ledger=x touch ran" \
		"--grace=1x touch ran"; do
		# shellcheck disable=SC2086 # these are words
		run -125 --separate-stderr "$sockleak" run $wrong
		equal 1 "$(wc -l <<<"$stderr")"
		[[ $stderr == "sockleak: "* ]]
	done
	[ ! -e ran ]
}
