#!/usr/bin/env bats
# Names of source files that the compiler was given relative to its directory.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
	sanitizer_with_library
	mkdir src out
	cp "$top/tests/fixtures/run_host.c" src/host.c
}

# compile COMPILER FLAG...: the program out/host, from a directory beside the source
compile() {
	(cd out && "$@" -g -O1 -I"$top/preload" -o host .././src/host.c)
}

reported() {
	"$sockleak" run --quiet --json=json --sarif=sarif --tap=tap -- out/host leak 1
}

@test "a relative name of a source file is joined with the directory of the compilation" {
	local compiler
	for compiler in "gcc -gdwarf-5" "gcc -gdwarf-4" "gcc -gsplit-dwarf" "clang -gdwarf-5"; do
		# shellcheck disable=SC2086 # these are words
		compile $compiler
		reported
		equal "[\"$PWD/src/host.c\"]" "$(of '[.leaks[0].origin[] | select(.module | endswith("/host")).file | values] | unique')"
		equal 'true' "$(of '[.leaks[0].origin[].function] | contains(["accept_client", "do_verb"])')" # inlined
	done
}

@test "where people read, a name is relative to the directory that they are in" {
	compile gcc
	local line
	line=$(sed -n '/ = accept(/=' src/host.c)
	"$sockleak" run --sarif=sarif --tap=tap --junit=junit --write-baseline=known -- out/host leak 1 2>text
	grep "^      accept_client  *src/host.c:$line$" text
	grep "^not ok 1 .*(src/host.c:$line)" tap
	grep "^    - \"accept_client src/host.c:$line\"" tap
	grep "^      accept_client  *src/host.c:$line$" junit
	grep "accept_client src/host.c:$line$" known
	equal '"src/host.c"' "$(jq -c '.runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri' sarif)"
	# Elsewhere it is whole.
	(cd out && "$sockleak" run --verbose -- ./host leak 1 2>text)
	grep " in accept_client $PWD/src/host.c:$line (" out/text
}

@test "a rule finds a source file by either name" {
	compile gcc
	local rule
	for rule in 'leak:^src/host.c$' "leak:^$PWD/src/host.c$"; do
		echo "$rule" >rules
		run -0 "$sockleak" run --quiet --suppressions=rules --error-exitcode=9 -- out/host leak 1
	done
}

@test "a directory that the compiler was told to leave out stays out" {
	compile gcc -ffile-prefix-map="$PWD"=.
	reported
	equal '["src/host.c"]' "$(of '[.leaks[0].origin[] | select(.module | endswith("/host")).file | values] | unique')"
}
