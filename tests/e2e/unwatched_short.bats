#!/usr/bin/env bats
# A program that is not watched, and that ends before anybody looks at it, is named all the
# same: whoever executed it tells.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	run_setup
	export executes=$fixtures/run_executes
	cc -O1 -static -o static -x c - <<<'int main(void) { return 0; }'
	in_place="execve execv execvp execvpe execl execle execlp fexecve execveat number number-at"
	by_child="posix_spawn posix_spawnp"
	by_shell="system popen"
}

# named ARGUMENT...: in the file `names` what a run with these calls unwatched, as
# "N PROGRAM REASON", in lines; each is told in each format
named() {
	run -0 --separate-stderr "$sockleak" run --json=json --junit=junit --tap=tap "$@"
	valid_report json
	xmllint --noout --schema "$top/tests/lib/junit.xsd" junit 2>/dev/null
	equal "$(of '.unwatched | length')" "$(grep -c '# SKIP it ' tap)"
	equal "$(of '.unwatched | length')" \
		"$(xmllint --xpath 'count(//testcase[@classname = "sockleak.unwatched"])' junit)"
	paste -d' ' <(sed -nE 's/^Not watched: ([0-9]+) processes.*/\1/p; t; s/^Not watched: .*/1/p' <<<"$stderr") \
		<(jq -r '.unwatched[] | "\(.exe | sub(".*/"; "")) \(.reason)"' json) >names
}

# by_each CHILD WAYS PROGRAM: the commands of a shell that is watched
by_each() {
	local way

	for way in $2; do
		echo "\"\$executes\" $1 $way $3 argument || echo fails: $way"
	done
}

# both TEST: with the helper thread and without
both() {
	"$@" && "$@" -O thread=no
}

static_ones_are_named() {
	named "$@" -- sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do ./static; ./static; done'
	equal "20 static static" "$(cat names)"
	[[ $stderr == *"; 20 processes were not watched"* ]]
	run -125 "$sockleak" run --strict --quiet "$@" -- sh -c './static; :'
	run -7 "$sockleak" run --strict --quiet "$@" -- sh -c './static; exit 7'
}

@test "a static program that ends at once is named, each process once" {
	both static_ones_are_named
}

cleared_ones_are_named() {
	named "$@" -- sh -c 'for i in 1 2 3 4 5; do env -i /bin/true; env -u LD_PRELOAD /bin/true; done'
	equal "10 true environment" "$(cat names)"
	run -125 "$sockleak" run --strict --quiet "$@" -- sh -c 'env -i /bin/true; :'
}

@test "a program that ends at once and was started without LD_PRELOAD is named" {
	both cleared_ones_are_named
}

cleared_ones_are_named_by_each_call() {
	local child

	for child in fork vfork thread none; do
		named "$@" -- sh -c "export CLEARED=1; $(by_each $child "$in_place" /bin/true)"
		equal "" "$output"
		equal "11 true environment" "$(cat names)"
	done
	for child in fork thread; do
		named "$@" -- sh -c "export CLEARED=1; $(by_each $child "$by_child" /bin/true)"
		equal "" "$output"
		equal "2 true environment" "$(cat names)"
		named "$@" -- sh -c "export CLEARED=1; $(by_each $child "$by_shell" '"exit 0"')"
		equal "" "$output"
		equal "2 $(basename "$(realpath /bin/sh)") environment" "$(cat names)"
	done
}

@test "each call that executes a program tells of one without LD_PRELOAD" {
	cleared_ones_are_named_by_each_call
}

@test "each call that executes a program tells of one without LD_PRELOAD, without the helper thread" {
	cleared_ones_are_named_by_each_call -O thread=no
}

@test "each call that executes a program tells of a static one, found by PATH too" {
	PATH=/nonexistent:$PWD:$PATH named -- sh -c "$(by_each vfork "execvp execvpe execlp" static)
		$(by_each fork posix_spawnp static)
		$(by_each vfork "execve execv execl execle fexecve execveat number number-at" ./static)
		$(by_each fork posix_spawn ./static)"
	equal "" "$output"
	equal "13 static static" "$(cat names)"
}

watched_ones_are_not_named() {
	local child

	for child in fork vfork thread none; do
		named "$@" -- sh -c "$(by_each $child "$in_place" /bin/true)"
		equal "" "$output$(cat names)"
	done
	named "$@" -- sh -c "$(by_each fork "$by_child" /bin/true)
		$(by_each thread "$by_shell" '"exit 0"')"
	equal "" "$output$(cat names)"
	run -0 "$sockleak" run --strict --quiet "$@" -- sh -c '/bin/true; /bin/true'
}

@test "a program that is watched is not named, however short it is" {
	both watched_ones_are_not_named
}

# What the kernel refuses: it is not there, no directory, no program after all.
@test "what could not be executed is not named" {
	local child

	head -c 64 static >cut
	chmod +x cut
	for child in fork vfork thread none; do
		named -- sh -c "export CLEARED=1; $(by_each $child "$in_place" ./nonexistent)
			$(by_each $child "$in_place" ./static/nonexistent)
			$(by_each $child "execve execv execl execle fexecve execveat number number-at" ./cut)"
		equal "30" "$(grep -cx 'E[A-Z]*' <<<"$output")"
		equal "" "$(grep -vx 'E[A-Z]*' <<<"$output")$(cat names)"
	done
	named -- sh -c "export CLEARED=1; $(by_each fork "$by_child" ./nonexistent)
		$(by_each thread "$by_child" ./static/nonexistent)
		$(by_each thread posix_spawn ./cut)"
	equal "5" "$(grep -cx 'E[A-Z]*' <<<"$output")"
	equal "" "$(cat names)"
}

@test "a program that could not execute another one and leaks is watched" {
	run -9 "$sockleak" run --strict --error-exitcode=9 -- bash -c 'shopt -s execfail
		exec ./nonexistent
		exec -c ./cut
		exec "$0" leak 1' "$host"
}

@test "a script is named by its interpreter" {
	printf '#! %s argument\n' "$PWD/static" >script
	printf '#!%s\n' "$PWD/script" >script_of_script
	chmod +x script script_of_script
	named -- sh -c './script; ./script_of_script; :'
	equal "2 static static" "$(cat names)"
}

@test "a program that gains rights, and one of another C library" {
	if [ "$(id -u)" = 0 ] && ! findmnt -no OPTIONS -T . | grep -q nosuid; then
		install -o nobody -m 4755 /bin/true setuid
		named -- sh -c './setuid; ./setuid; :'
		equal "2 setuid gains-rights" "$(cat names)"
		# It gains none, however long it is looked at.
		named -- setpriv --no-new-privs sh -c './setuid; :'
		equal "" "$(cat names)"
		install -o nobody -m 4755 /bin/sleep setuid
		named -- setpriv --no-new-privs sh -c './setuid 0.3; :'
		equal "" "$(cat names)"
		named -- sh -c './setuid 0.3; :'
		equal "1 setuid gains-rights" "$(cat names)"
		install -g nogroup -m 2755 /bin/sleep setgid
		named -- sh -c './setgid 0.3; :'
		equal "1 setgid gains-rights" "$(cat names)"
	fi
	type musl-gcc || skip "musl-gcc is not installed"
	musl-gcc -o other -x c - <<<'int main(void) { return 0; }'
	named -- sh -c './other; :'
	equal "1 other libc" "$(cat names)"
}

@test "a process that gave up its rights tells, too" {
	[ "$(id -u)" = 0 ] || skip "it has none"
	named -- setpriv --reuid=65534 --clear-groups sh -c 'env -i /bin/true; :'
	equal "1 true environment" "$(cat names)"
}

@test "one that is executed and seen is named once" {
	cc -O1 -static -o slow -x c - <<<'#include <unistd.h>
		int main(void) { return usleep(200000); }'
	named -- sh -c './slow & env -i sleep 0.2 & ./static; (exec ./slow); wait; :'
	equal "1 sleep environment
2 slow static
1 static static" "$(sort -k2 names)"
	# As the last of its process: what still runs is named once, too.
	named -- sh -c './slow >/dev/null 2>&1 &'
	equal "1 slow static" "$(cat names)"
}

@test "a later run over a kept directory does not name it, a report over the directory does" {
	named --ledger=kept -- sh -c './static; ./static; :'
	equal "2 static static" "$(cat names)"
	named --ledger=kept -- sh -c './static; :'
	equal "1 static static" "$(cat names)"
	json_of kept
	equal '[["static","static"]]' "$(of '[.unwatched[] | [(.exe | sub(".*/"; "")), .reason]]')"
}

@test "a report over a directory believes no file in it" {
	mkdir kept
	printf 'unheard-of 1 /program' >kept/1.2.3.unwatched
	printf 'static 1 /%2000d' 0 >kept/2.2.3.unwatched
	printf 'environment' >kept/3.2.3.unwatched
	printf 'static 1 /program' >kept/no_number.unwatched
	mkfifo kept/4.2.3.unwatched
	json_of kept
	equal '[[2,true,"static"],[3,false,"not-loaded"],[4,false,"not-loaded"]]' \
		"$(of '[.unwatched[] | [.pid, (.exe != null), .reason]]')"
}

@test "a run that named programs leaves nothing behind" {
	mkdir tmp
	TMPDIR=$PWD/tmp named -- sh -c './static; env -i /bin/true; ./nonexistent; :'
	equal "" "$(ls tmp)"
}

# each_execution: the system calls of a child of vfork() from its birth to its exec, in lines
each_execution() {
	strace -f -qq -o trace -E LD_PRELOAD="$build/libsockleak.so" -E SOCKLEAK_OPTIONS="$1" \
		"$executes" vfork execve /bin/true
	awk '$2 ~ /^vfork/ { is_after = 1; next } is_after && $2 ~ /^execve/ { exit }
		is_after { sub(/\(.*/, "", $2); print $2 }' trace
}

@test "a program that will be watched is executed with few system calls more, without a ledger with none" {
	plain_build "the runtime makes calls of its own"
	strace -o /dev/null true || skip "strace may not trace here"
	mkdir -m 700 made
	equal "" "$(each_execution log=none)"
	each_execution "log=none:ledger=$PWD/made" >calls
	# The parent's threads are counted: one of them might take the environment away.
	equal "close getppid newfstatat newfstatat openat pread64" "$(grep -v -e rt_sigprocmask -e fgetxattr calls | sort | xargs)"
	# Of the environment each page once.
	[ "$(grep -c rt_sigprocmask calls)" -le 4 ]
}
