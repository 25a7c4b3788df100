#!/usr/bin/env bats
# No report says that all is well for a process whose sockets nobody recorded.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	run_setup
}

# What stands in the file `junit`, which is valid.
junit_counts() {
	xmllint --noout --schema "$top/tests/lib/junit.xsd" junit 2>/dev/null || return
	xmllint --xpath 'concat(/testsuites/@tests, " tests, ", count(//failure), " failed, ",
		count(//skipped), " skipped, ", //testsuite/@skipped)' junit
}

# unwatched: in the file `json`, as [program, reason]
unwatched() {
	of '[.unwatched[] | [(.exe // "null" | sub(".*/"; "")), .reason]]'
}

@test "where no process made a connection, no format says passed" {
	run -0 --separate-stderr "$sockleak" run --junit=junit --tap=tap.t --json=json true
	[[ ${stderr_lines[-1]} == "SUMMARY: sockleak: 0 sockets leaked "*"; no process that was watched made a connection" ]]
	equal "1 tests, 0 failed, 1 skipped, 1" "$(junit_counts)"
	equal "ok 1 - no socket leaked # SKIP no process that was watched made a connection" "$(tail -n 1 tap.t)"
	run -0 "$sockleak" report --quiet --junit=junit --error-exitcode=1 ledgers
	equal "1 tests, 0 failed, 1 skipped, 1" "$(junit_counts)"
	make_ledgers clean
	"$sockleak" report --quiet --junit=junit ledgers
	equal "1 tests, 0 failed, 0 skipped, 0" "$(junit_counts)"
}

@test "where nothing could be read there is no summary" {
	run -2 --separate-stderr "$sockleak" report --junit=junit nonexistent
	equal "sockleak: cannot open nonexistent: No such file or directory" "$stderr"
	equal "" "$output"
	equal "a ledger could not be read" "$(xmllint --xpath 'string(//skipped/@message)' junit)"
}

@test "a process that could not keep its ledger is named, and run ends with 125" {
	run -125 --separate-stderr "$sockleak" run --json=json --junit=junit --tap=tap.t --sarif=sarif -- \
		sh -c 'ulimit -f 8; exec "$0" leak 1' "$host"
	[[ $stderr == *"Not watched: process "*" ($host): it could not keep its ledger."* ]]
	[[ ${stderr_lines[-1]} == "SUMMARY: "*"; 1 process was not watched" ]]
	valid_report json
	equal '[["run_host","no-ledger"]]' "$(unwatched)"
	equal "2 tests, 0 failed, 2 skipped, 2" "$(junit_counts)"
	run -0 prove -e cat tap.t
	equal 2 "$(grep -c '^ok .* # SKIP ' tap.t)"
	"$top/tests/lib/valid_json" "$top/tests/lib/sarif.schema.json" sarif
	equal '"unwatched"' "$(jq '.runs[0].invocations[0].toolExecutionNotifications[0].descriptor.id' sarif)"
}

@test "it ends as it would where no file may grow at all, and is not named if it made no connection" {
	run -125 "$sockleak" run --quiet --json=json -- sh -c 'ulimit -f 0; "$0" leak 1; :' "$host"
	equal '[["null","no-ledger"]]' "$(unwatched)"
	run -3 "$sockleak" run --quiet --json=json -- sh -c 'ulimit -f 0; "$0" leak 1; exit 3' "$host"
	run -0 "$sockleak" run --quiet --json=json -- sh -c 'ulimit -f 8; exec "$0" exit 0' "$host"
	equal '[]' "$(unwatched)"
}

@test "a report over a directory names those that could not keep theirs, a later run does not" {
	run -125 "$sockleak" run --quiet --ledger=kept -- sh -c 'ulimit -f 8; exec "$0" fork leak 1' "$host"
	run -2 --separate-stderr "$sockleak" report --json=json --junit=junit kept
	valid_report json
	equal '[["run_host","no-ledger"]]' "$(unwatched)"
	run -0 "$sockleak" run --quiet --json=json --ledger=kept -- "$host" open
	equal '[]' "$(unwatched)"
}

# without_ledger VERB...: below a parent that has a ledger, a process keeps none, by name
without_ledger() {
	run -125 --separate-stderr "$sockleak" run --json=json --junit=junit -- "$host" "$@"
	[[ $stderr == *"Not watched: process "*" ($host): it could not keep its ledger."* ]]
	[[ ${stderr_lines[-1]} == *"SUMMARY: "*"; 1 process was not watched" ]]
	valid_report json
	equal '[["run_host","no-ledger"]]' "$(unwatched)"
	equal "2 tests, 0 failed, 2 skipped, 2" "$(junit_counts)"
	run -125 "$sockleak" run --quiet --strict -O thread=no -- "$host" "$@"
}

@test "a child that was forked in another root, and can keep no ledger, is named" {
	[ "$(id -u)" = 0 ] || skip "only root may change its root"
	mkdir root
	without_ledger open root "$PWD/root" fork leak 1
	without_ledger open root "$PWD/root" fork fork fork leak 1
	run -0 "$sockleak" run --strict --quiet --json=json -- "$host" open root "$PWD/root" fork exit 0
	equal '[]' "$(unwatched)"
}

@test "so is one whose parent gave up the right to write there, by a report, too" {
	[ "$(id -u)" = 0 ] || skip "only root has rights to give up"
	chmod 700 ledgers
	SOCKLEAK_OPTIONS=log=none:ledger=$PWD/ledgers LD_PRELOAD=$library "$host" open nobody fork leak 1
	run -2 "$sockleak" report --json=json --junit=junit ledgers
	equal '[["run_host","no-ledger"]]' "$(unwatched)"
	equal "2 tests, 0 failed, 2 skipped, 2" "$(junit_counts)"
	run -2 "$sockleak" report --quiet --json=json ledgers/*.sockleak
	equal '[["run_host","no-ledger"]]' "$(unwatched)"
}

# waits_for_go OPTION... NAME: a program that makes a file `started`, and ends when there
# is a file `go`
waits_for_go() {
	cc -O1 "${@:1:$#-1}" -x c -o "${!#}" - <<-'C'
		#include <fcntl.h>
		#include <unistd.h>
		#ifdef GO
		__attribute__((section(".go.buildinfo"), used)) static char info[16];
		#endif
		int main(void)
		{
			close(creat("started", 0600));
			for (int i = 0; i < 12000 && access("go", F_OK) < 0; i++)
				usleep(5000);
			return 0;
		}
	C
}

# left_behind COMMAND...: runs it in the background of a run that ends as soon as it has
# started, and ends it
left_behind() {
	mkdir tmp
	TMPDIR=$PWD/tmp run -0 --separate-stderr "$sockleak" run --json=json -- \
		sh -c '"$@" >/dev/null 2>&1 &
			timeout 60 sh -c "until [ -e started ]; do sleep 0.01; done"' - "$@"
	touch go
	valid_report json
	rm -r tmp
	rm go started
}

@test "a static program is named, and one of another C library, and a Go program" {
	waits_for_go -static static
	left_behind ./static
	[[ $stderr == *"Not watched: process "*"/static): it is statically linked, so nothing can be preloaded into it."* ]]
	equal '[["static","static"]]' "$(unwatched)"
	waits_for_go -DGO go_program
	left_behind ./go_program
	equal '[["go_program","go"]]' "$(unwatched)"
	run -126 --separate-stderr "$sockleak" run ./go_program
	[[ $stderr == *"it is a Go program, which makes its system calls itself (--force "* ]]
	plain_build "the runtime needs glibc"
	musl-gcc -x c -o other - <<<'#include <fcntl.h>
		#include <unistd.h>
		int main(void) { close(creat("started", 0600)); for (int i = 0; i < 12000 && access("go", F_OK) < 0; i++) usleep(5000); }'
	left_behind ./other
	equal '[["other","libc"]]' "$(unwatched)"
}

@test "a program whose environment was cleared is named" {
	waits_for_go program
	left_behind env -i ./program
	equal '[["program","environment"]]' "$(unwatched)"
}

@test "a program that is given the library with other options is named" {
	waits_for_go program
	left_behind env SOCKLEAK_OPTIONS=log=none LD_PRELOAD="$library" ./program
	equal '[["program","elsewhere"]]' "$(unwatched)"
	left_behind env SOCKLEAK_OPTIONS="ledger=$PWD" ./program
	equal '[["program","elsewhere"]]' "$(unwatched)"
	left_behind env SOCKLEAK_OPTIONS=grace=1s ./program
	equal '[["program","running"]]' "$(unwatched)"
}

@test "a program in a root directory without the library is named, however soon it ends" {
	[ "$(id -u)" = 0 ] || skip "only root may change its root"
	mkdir root
	ldd /bin/sleep | grep -o '/[^ ]*' | while read -r file; do
		mkdir -p "root$(dirname "$file")"
		cp "$file" "root$file"
	done
	cp /bin/sleep root
	run -125 "$sockleak" run --quiet --strict --json=json -- chroot root /sleep 0.5
	equal '[["sleep","not-loaded"]]' "$(unwatched)"
}

@test "what still runs at the end is named, and its ledger stays" {
	mkdir tmp
	TMPDIR=$PWD/tmp run -0 --separate-stderr "$sockleak" run --json=json -- "$host" outlive go
	equal '[["run_host","running"]]' "$(unwatched)"
	[[ ${stderr_lines[-1]} == "sockleak: 1 process still runs in the background with $PWD/tmp/sockleak-"*"; the ledgers stay in $PWD/tmp/sockleak-"* ]]
	local directory=${stderr_lines[-1]##* }
	touch go
	wait_until 20 bash -c "'$sockleak' report --quiet --json=json '$directory'; jq -e '.processes | any(.ended == \"exit\")' json"
	equal 1 "$(of '[.processes[].leaked] | add')"
	rm -r tmp
}

@test "a process that became a static one while its ledger was made is named as that, once" {
	waits_for_go -static static
	# shellcheck disable=SC2016 # $$ is of the shell that becomes the program
	run -125 "$sockleak" run --strict --quiet --json=json --ledger=kept -- sh -c '
		sh -c '\''start=$(sed "s/.*) //" /proc/$$/stat | cut -d" " -f20)
			head -c 60000 /dev/zero >kept/$$.$start.0.sockleak
			exec ./static'\'' &
		sleep 2 # run looks several times meanwhile
		touch go
		wait'
	equal '[["static","static"]]' "$(unwatched)"
}

@test "--strict ends with 125 where anything was not watched, but not in place of another status" {
	waits_for_go -static static
	touch go
	export TMPDIR=$BATS_TEST_TMPDIR
	run -125 "$sockleak" run --force --strict --quiet ./static
	run -0 "$sockleak" run --force --quiet ./static
	rm go
	run -7 "$sockleak" run --strict --quiet sh -c './static >/dev/null 2>&1 & exit 7'
	run -9 "$sockleak" run --strict --quiet --error-exitcode=9 -- sh -c './static >/dev/null 2>&1 & "$0" leak 1' "$host"
	touch go
}

@test "programs that start and end in numbers are all watched" {
	run -0 --separate-stderr "$sockleak" run --strict --json=json -- \
		bash -c 'for i in {1..100}; do (/bin/true & /bin/true; wait); done; "$0" fork leak 1; exec "$0" open' "$host"
	equal '[]' "$(unwatched)"
	equal 1 "$(of '.leaks[0].count')"
}

@test "orphans come to run, which leaves none of them a zombie" {
	run -0 --separate-stderr timeout 60 "$sockleak" run --quiet -- bash -c '
		for i in {1..20}; do (sh -c "echo \$PPID" &); done >/dev/null
		until ! ps -o stat= --ppid "$PPID" | grep -q Z; do sleep 0.01; done'
	equal "" "$output"
}

@test "a program that lost SOCKLEAK_OPTIONS and kept LD_PRELOAD is watched with the same options" {
	run -9 --separate-stderr "$sockleak" run --error-exitcode=9 --json=json -- \
		sh -c 'exec env -i LD_PRELOAD="$LD_PRELOAD" ASAN_OPTIONS="$ASAN_OPTIONS" "$0" leak 1' "$host"
	equal 1 "$(grep -c '==ERROR: sockleak' <<<"$stderr")" # of run; its own log is none
	equal '[1,[]]' "$(of '[.leaks[0].count, .unwatched]')"
	# With a kept directory alike, and whatever the umask.
	run -9 "$sockleak" run --quiet --error-exitcode=9 --ledger=kept -- \
		sh -c 'umask 77; env -i LD_PRELOAD="$LD_PRELOAD" ASAN_OPTIONS="$ASAN_OPTIONS" "$0" fork leak 1' "$host"
	json_of kept
	equal 1 "$(of '.leaks[0].count')"
	equal ledgers "$(ls -d ledgers options libsockleak.so kept/options 2>/dev/null)"
}

@test "a program for which a script sets options of its own stays watched, with those besides" {
	run -9 --separate-stderr "$sockleak" run --error-exitcode=9 --json=json -- \
		env SOCKLEAK_OPTIONS="log=$PWD/own" "$host" leak 1
	equal 1 "$(grep -c '==ERROR: sockleak' <<<"$stderr")"
	equal '[1,[]]' "$(of '[.leaks[0].count, .unwatched]')"
	equal 1 "$(grep -c '==ERROR: sockleak' own)"
	# One that says where its ledger is to be has it there.
	run -0 "$sockleak" run --quiet --error-exitcode=9 -- env SOCKLEAK_OPTIONS="ledger=$PWD/kept:log=none" \
		sh -c 'mkdir kept; exec "$0" leak 1' "$host"
	json_of kept
	equal 1 "$(of '.leaks[0].count')"
}

# with_options CHANGE...: a host preloaded from `sockleak-beside`, where it finds options that are
# changed so
with_options() {
	rm -rf sockleak-beside
	mkdir sockleak-beside
	ln -s "$build/libsockleak.so" sockleak-beside/libsockleak.so
	printf %s "log=$PWD/log" >sockleak-beside/options
	"$@"
	rm -f log
	run -0 --separate-stderr env LD_PRELOAD="$(sanitizer_first)$PWD/sockleak-beside/libsockleak.so" "$host" leak 1
}

@test "options beside the library are read only where nobody else can have written them" {
	with_options true
	equal "" "$stderr"
	grep -q '==ERROR: sockleak' log
	local change
	for change in "chmod 620 sockleak-beside/options" "chmod 602 sockleak-beside/options" "mv sockleak-beside/options target" \
		"truncate -s 5000 sockleak-beside/options" \
		"truncate -s 0 sockleak-beside/options"; do
		# shellcheck disable=SC2086 # these are words
		with_options $change
		[[ $stderr == *"==ERROR: sockleak"* ]]
		[ ! -e log ]
	done
	with_options sh -c 'mv sockleak-beside/options target && ln -s ../target sockleak-beside/options'
	[[ $stderr == *"==ERROR: sockleak"* ]]
	with_options sh -c 'rm sockleak-beside/options && mkfifo sockleak-beside/options'
	[[ $stderr == *"==ERROR: sockleak"* ]]
	export SOCKLEAK_OPTIONS=log=none
	with_options true
	[ ! -e log ]
}
