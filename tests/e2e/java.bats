#!/usr/bin/env bats
# Java programs: where their sockets were opened is told in their own methods and lines.

bats_require_minimum_version 1.5.0
load ../lib/preload
load ../lib/java

setup() {
	java_setup
}

# leaks OPTIONS [OF-JAVA...]: what the program says of itself is in `expected`
leaks() {
	# shellcheck disable=SC2086
	logged "at_exit=all:$1" "$home/bin/java" "${@:2}" -cp classes JavaLeaks >expected
}

# Each different stack, with how many there are of it.
of_java() {
	jq -cs 'group_by(.) | map([length, .[0]]) | sort[]'
}

# The JDK's own below the program's are left out.
of_report() {
	jq -cs '[.[] | select(.event == "leak") | [.count,
		([.origin[] | select(.language == "java") | [.function, .line, .file]]
		| until(.[0][0] | test("^(java|sun|jdk)\\.") | not; .[1:]))]] | sort[]' "$errors"
}

@test "every frame of a report is what Java says it was" {
	for home in $(java_homes); do
		compile JavaLeaks
		for more in '' :thread=no; do
			for how in -Xmixed -Xint -Xcomp; do
				leaks "format=json:frames=128$more" $how
				[ "$(wc -l <expected)" = 12 ]
				equal "$(of_java <expected)" "$(of_report)"
			done
		done
	done
}

@test "text begins with the program's own lines" {
	for home in $(java_homes); do
		compile JavaLeaks
		leaks ''
		says '^    #0 JavaLeaks.leak at JavaLeaks.java:45$'
		says '^    #6 JavaLeaks.recurse at JavaLeaks.java:90$'
		says '^    #0 JavaLeaks\$Client.<init> at JavaLeaks.java:71$'
		run ! grep -q 'origin: short' "$errors"
		run ! grep -qE '#[0-9]+ (sun|java)\.(nio|net)\.' "$errors"
		run ! grep -q 'sockleak symbolize' "$errors"
	done
}

@test "more frames of the JDK than are kept leave room for the program's own" {
	for home in $(java_homes); do
		compile JavaLeaks
		for frames in 1 2 9 32; do
			leaks format=json:frames=$frames
			equal 'true' "$(jq -c --argjson most $frames 'select(.event == "leak") |
				[.origin[] | select(.language == "java") | .function] |
				select(any(. == "JavaLeaks.leakBelowManyOfTheJdk")) |
				length <= $most and (length < 3 or .[-1] == "JavaLeaks.main")' "$errors")"
		done
	done
}

@test "two places that differ in a line of Java are two, each with the same id in each run" {
	for home in $(java_homes); do
		compile JavaLeaks
		for run in 1 2; do
			leaks format=json:frames=128
			jq -r 'select(.event == "leak" and any(.origin[]; .function ==
				"JavaLeaks.leakInOneOfTwoLines")) | .id' "$errors" | sort -u >ids.$run
			[ "$(wc -l <ids.$run)" = 2 ]
		done
		equal "$(<ids.1)" "$(<ids.2)"
	done
}

@test "a ledger keeps them, and the command shows them" {
	for home in $(java_homes); do
		compile JavaLeaks
		leaks "ledger=$PWD:log=none"
		"$sockleak" report ./*.sockleak >text || true
		says '^      JavaLeaks.recurse  x6  JavaLeaks.java:90$' text
		rm ./*.sockleak
	done
}

@test "with java=no or languages=no there are none" {
	for home in $(java_homes); do
		compile JavaLeaks
		for options in java=no languages=no; do
			leaks "format=json:$options"
			says '"event":"leak"'
			run ! grep -q '"language":"java"' "$errors"
		done
	done
}

@test "rules of the library match methods of Java" {
	echo 'leak:^JavaLeaks' >rules
	for home in $(java_homes); do
		compile JavaLeaks
		leaks "suppressions=$PWD/rules"
		run ! grep -q 'ERROR' "$errors"
	done
}
