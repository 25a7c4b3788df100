#!/usr/bin/env bats
# The frames of Ruby programs, as a part of the library captures them in calls, against
# those that Ruby itself sees.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/ruby

setup() {
	ruby_setup
}

# ruby [OPTION...] PROGRAM [ARGUMENT...]: what it prints is in $output
ruby() {
	run env LD_PRELOAD="$fixtures/ruby_preload.so" /usr/bin/ruby "$@"
	echo "$* $SHIFT: status $status: $output"
	read -r equal none wrong trials < <(sed -nE \
		'$s/^([0-9]+) equal, ([0-9]+) none, ([0-9]+) wrong, ([0-9]+) trials left$/\1 \2 \3 \4/p' <<<"$output")
}

trees() {
	ruby "${@:4}" "$top/tests/fixtures/ruby_trees.rb" "$1" "$2" ${3:+"$3"}
}

all_agree() {
	[ "$status" -eq 0 ]
	[ "$equal" -gt "$1" ]
	[ "$none$wrong$trials" = 000 ]
}

@test "every frame of 1,000 random trees of calls has its label, file and line" {
	for seed in 1 2; do
		trees $seed 500
		all_agree 1000
	done
}

@test "whatever compiles them" {
	for compiler in '--yjit --yjit-call-threshold=1' '--mjit --mjit-wait --mjit-min-calls=2'; do
		# shellcheck disable=SC2086
		run /usr/bin/ruby $compiler -e 1
		[ "$status" -eq 0 ] || continue
		# shellcheck disable=SC2086
		trees 3 200 '' $compiler
		all_agree 500
	done
}

@test "under a filter there are the same frames, but for what the collector works at" {
	export FILTERED=1
	trees 4 200 may-be-none
	[ "$status" -eq 0 ]
	[ "$equal" -gt 500 ]
	[ "$none" -lt $((equal / 10)) ]
	[ "$wrong$trials" = 00 ]
}

@test "a layout that is wrong in one field yields no wrong frame, and no crash" {
	SHIFT=fields trees 5 10
	fields=$(sed -n 's/^FIELD //p' <<<"$output")
	[ "$(wc -w <<<"$fields")" -gt 15 ]
	for field in $fields; do
		for bytes in -8 -4 4 8; do
			export SHIFT=$field:$bytes
			trees 5 10 may-be-none
			[ "$status" -eq 0 ]
			[ "$none" -gt "$equal" ]
			[ "$wrong" = 0 ]
		done
	done
}

@test "a program that ends while its threads accept ends well" {
	# What is freed is gone at once: a load from it ends the program.
	export MALLOC_MMAP_THRESHOLD_=200
	for _ in {1..20}; do
		LD_PRELOAD="$fixtures/ruby_preload.so" /usr/bin/ruby "$top/tests/fixtures/ruby_ends.rb" 50
	done
}

@test "without the lock a capture is one system call" {
	cat >captures.rb <<-'END'
		require 'fiddle'
		CAPTURE = Fiddle::Function.new(Fiddle::Handle::DEFAULT['captures_frames'], [], Fiddle::TYPE_INT)
		def deep(n) = n.zero? ? 1000.times { CAPTURE.call } : deep(n - 1)
		40.times { CAPTURE.call }
		deep(8)
		exit!(CAPTURE.call == 1)
	END
	strace -f -o trace -e trace=process_vm_readv,gettid \
		env LD_PRELOAD="$fixtures/ruby_preload.so" /usr/bin/ruby captures.rb
	[ "$(tail -n 1000 trace | grep -c 'process_vm_readv(.* 0) = [0-9]*$')" -ge 990 ]
}
