#!/usr/bin/env bats
# Calls of ours fail, one after the other and all together; memory, numbers, files and
# room run out.  The program runs on unharmed, and what was lost is said.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	processes=$fixtures/guest_processes
	tmp=$BATS_TEST_TMPDIR
	export FAULT_PRELOAD=$library
}

# says_what_was_lost: the log and standard error know both leaks, or that there are holes
says_what_was_lost() {
	grep -Eq 'sockleak: 2 sockets leaked|[1-9][0-9]* missed|[1-9][0-9]* dropped|WARNING: sockleak' \
		"$tmp/log" "$tmp/err" 2>/dev/null ||
		[ "$(grep -Ec 'sockets? left in' "$tmp/log" 2>/dev/null)" -ge 2 ]
}

# said FILE: what the program printed; where the helper shares its table the lowest number
# may be the helper's for the moment it opens a file, and the program gets another
said() {
	sed "${shares_the_table:+s/^(dup\(.*\) =) [0-9]+/\1 N/}" -E "$1"
}

# one_fault OPTIONS CALL ERROR N: sets `seen`, how many calls there were to fail
one_fault() {
	local status

	rm -rf "$tmp/ledger" "$tmp/log"
	mkdir -m 700 "$tmp/ledger"
	SOCKLEAK_OPTIONS="$1:ledger=$tmp/ledger:log=$tmp/log" "$fixtures/guest_faults" \
		"$tmp/result" "$2" "$3" "$4" "$processes" meets-faults \
		>"$tmp/out" 2>"$tmp/err" </dev/null
	read -r status seen <"$tmp/result"
	if ! diff <(said "$tmp/bare") <(said "$tmp/out") || [ "$status" != 0 ]; then
		echo "$2 $3, call $4 of $seen, $1: status $status"
		return 1
	fi
}

# each_fault CALL ERROR: for n from 1 until there is no n-th, and all of them
each_fault() {
	local options n

	"$processes" meets-faults >"$tmp/bare" </dev/null
	for options in ${options_to_try:-interval=1ms}; do
		n=1
		seen=1
		while ((n <= seen && n < 200)); do
			one_fault "$options" "$1" "$2" "$n"
			says_what_was_lost || { echo "$1 $n of $seen, $options: silence"; false; }
			n=$((n + 1))
		done
		one_fault "$options" "$1" "$2" all
		[ -n "$may_be_silent" ] || says_what_was_lost || { echo "$1 all: silence"; false; }
	done
}

needs_ptrace() {
	without_runtime "calls of the runtime's own would fail, and it ends"
	"$fixtures/guest_faults" "$tmp/result" mmap ENOMEM 0 true ||
		skip "nobody may be traced here"
}

@test "no memory: each call for it fails once, and all fail" {
	needs_ptrace
	each_fault mmap ENOMEM
	options_to_try=thread=no:interval=1ms
	[ -z "${STORM_MS-}" ] || each_fault mmap ENOMEM
}

@test "no file can be opened, one after the other and all" {
	needs_ptrace
	options_to_try=thread=no:interval=1ms
	each_fault openat EMFILE
	options_to_try=interval=1ms
	[ -z "${STORM_MS-}" ] || each_fault openat EMFILE
}

@test "libunwind cannot be opened, nor its neighbours" {
	needs_ptrace
	each_fault openat@libunwind EACCES
	grep -q 'WARNING: sockleak: libunwind cannot be loaded, so origins are short: /' "$tmp/err"
	each_fault openat@liblzma EMFILE
}

@test "no thread can be started" {
	needs_ptrace
	each_fault clone3 EAGAIN
	# Nothing was lost: the program's own thread did it all.
	grep -q 'SUMMARY: sockleak: 2 sockets leaked at 2 places.* 0 missed, 0 dropped' "$tmp/log"
	grep -q ' in told_and_kept+' "$tmp/log"
}

@test "nothing can be written" {
	needs_ptrace
	may_be_silent=yes # where nothing can be written nothing is said
	each_fault write ENOSPC
}

@test "no room on the disk" {
	needs_ptrace
	each_fault fallocate ENOSPC
}

@test "the kernel is older, or forbids what the helper likes to use" {
	needs_ptrace
	shares_the_table=yes
	each_fault close_range EPERM
	shares_the_table=
	each_fault pidfd_open ENOSYS
	each_fault pidfd_getfd EPERM
	each_fault madvise EINVAL
	each_fault process_vm_readv EPERM
}

@test "files can be opened and not examined" {
	needs_ptrace
	may_be_silent=yes # standard error cannot be told from another file then
	shares_the_table=yes # nor whether there is a filter, which may forbid one of its own
	each_fault newfstatat EACCES
}

@test "nothing is told of the sockets" {
	needs_ptrace
	may_be_silent=yes # nobody knows that they are sockets
	options_to_try=thread=no:interval=1ms
	each_fault getpeername ENOTCONN
	"$processes" meets-faults >"$tmp/bare" </dev/null
	one_fault interval=1ms getsockopt EPERM all
}

@test "a program with little address space runs as without us" {
	plain_build "the runtime needs more of it"
	"$processes" meets-faults >"$tmp/bare" </dev/null
	for kib in 6100 6400 7000 8000 12000 20000 40000; do
		(
			ulimit -v "$kib"
			preloaded interval=1ms "$processes" meets-faults
		) >"$tmp/out" 2>"$tmp/err" </dev/null
		diff "$tmp/bare" "$tmp/out"
		says_what_was_lost
	done
}

@test "without a free number the leak is told, and once which places hold the most" {
	run -0 --separate-stderr preloaded interval=20ms "$processes" uses-all-numbers
	# shellcheck disable=SC2154
	[[ $stderr == *"in told_and_kept+"*"in main+"* ]]
	[ "$(grep -c 'the limit of open descriptors (64) was reached' <<<"$stderr")" = 1 ]
	[[ $stderr == *"sockets opened by socket():"*"in uses_all_numbers+"* ]]
	preloaded_out=$output
	run -0 "$processes" uses-all-numbers
	[ "$output" = "$preloaded_out" ]
}

# disturbed OPTIONS DISTURBANCE: the program is not, by this shell command in its midst
disturbed() {
	DISTURBANCE=true "$processes" is-disturbed >"$tmp/bare" 2>/dev/null </dev/null
	export DISTURBANCE="unset LD_PRELOAD; $2"
	(preloaded "$1" "$processes" is-disturbed) >"$tmp/out" 2>"$tmp/err" </dev/null
	diff "$tmp/bare" "$tmp/out"
}

@test "the directory of the ledger is removed in the midst" {
	mkdir -m 700 "$tmp/ledger"
	disturbed "interval=5ms:log=$tmp/log:ledger=$tmp/ledger" "rm -rf $tmp/ledger"
	grep -q '2 sockets leaked' "$tmp/log"
	[ ! -s "$tmp/err" ]
}

@test "a log that is unlinked in the midst is made anew" {
	disturbed "interval=5ms:grace=10ms:log=$tmp/log" "rm -f $tmp/log"
	grep -q 'SUMMARY: sockleak: [12] sockets\? leaked' "$tmp/log"
	[ ! -s "$tmp/err" ]
}

@test "a log that becomes another's in the midst is left alone, and the loss is said" {
	disturbed "interval=5ms:grace=10ms:log=$tmp/log2" \
		"test ! -e $tmp/log2 || { echo mine >$tmp/mine; ln -sf $tmp/mine $tmp/log2; }"
	grep -q 'the log could not be written' "$tmp/err"
	[ "$(cat "$tmp/mine")" = mine ]
}

@test "files may not grow beyond a limit: no SIGXFSZ comes of us" {
	mkdir -m 700 "$tmp/ledger"
	for blocks in 0 1 2 64 128 200; do # of 1024 bytes
		rm -f "$tmp/log"
		limited "$blocks" "interval=5ms:log=$tmp/log:ledger=$tmp/ledger"
	done
}

# limited BLOCKS OPTIONS: its output goes through a pipe, which has no limit
limited() {
	local status

	(
		ulimit -f "$1"
		DISTURBANCE=true preloaded "$2" "$processes" is-disturbed 2>&1
	) | cat >"$tmp/out"
	status=${PIPESTATUS[0]}
	[ "$status" = 0 ]
	[ "$(grep -vc sockleak "$tmp/out")" = 2 ]
}

# in_namespace SCRIPT: with mounts of its own
in_namespace() {
	unshare -m true 2>/dev/null || unshare -Urm true 2>/dev/null || skip "mounts are not permitted"
	if unshare -m true 2>/dev/null; then
		unshare -m sh -c "$1"
	else
		unshare -Urm sh -c "$1"
	fi
}

@test "a full file system: the program goes on, and the loss is said" {
	mkdir "$tmp/full"
	"$processes" meets-faults >"$tmp/bare" </dev/null
	for kib in 64 128 256; do
		in_namespace "mount -t tmpfs -o size=${kib}k,mode=700 none $tmp/full && cd / &&
			SOCKLEAK_OPTIONS=interval=1ms:ledger=$tmp/full:log=$tmp/full/log \
			LD_PRELOAD=$preloads $processes meets-faults >$tmp/out 2>$tmp/err &&
			{ cat $tmp/full/log 2>/dev/null >$tmp/log; ls -l $tmp/full; }"
		diff "$tmp/bare" "$tmp/out"
		says_what_was_lost
	done
}

@test "a read-only file system: one line, and the program goes on" {
	mkdir "$tmp/ro"
	"$processes" meets-faults >"$tmp/bare" </dev/null
	rm -f "$tmp/log"
	in_namespace "mount -t tmpfs -o ro,mode=700 none $tmp/ro && cd / &&
		SOCKLEAK_OPTIONS=interval=1ms:ledger=$tmp/ro:log=$tmp/ro/log LD_PRELOAD=$preloads \
		$processes meets-faults >$tmp/out 2>$tmp/err"
	diff "$tmp/bare" "$tmp/out"
	grep -q 'WARNING: sockleak: the ledger cannot be created' "$tmp/err"
	grep -q "WARNING: sockleak: the log cannot be opened for writing: $tmp/ro/log\$" "$tmp/err"
	[ "$(wc -l <"$tmp/err")" = 2 ]
}
