#!/usr/bin/env bats
# Memory that the host takes away, or protects, while it is looked at: nobody is harmed.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	without_runtime "it reads memory of its own accord"
	lost_pages=$fixtures/guest_lost_pages
}

@test "what lies above a coroutine's stack comes and goes" {
	same_both "$lost_pages" small
	same interval=20ms "$lost_pages" starts
}

@test "what lies above a coroutine's stack comes and goes, under an inherited filter" {
	for kind in main thread starts; do
		same interval=20ms "$lost_pages" $kind filtered
	done
	same thread=no "$lost_pages" small filtered
}

# lost_files KIND [filtered]
lost_files() {
	(cd "$BATS_TEST_TMPDIR" &&
		same_both "$fixtures/guest_lost_files" "$1" "$build/tests/unit/origin_plugin_1.so" ${2-})
}

@test "a loaded file is cut, or its pages are protected, before the next is loaded" {
	lost_files cut
	lost_files protected
}

@test "a loaded file is cut before what it has opened was unwound" {
	lost_files unwound
}

@test "loaded files are cut and protected under an inherited filter" {
	lost_files cut filtered
	lost_files protected filtered
	lost_files unwound filtered
}
