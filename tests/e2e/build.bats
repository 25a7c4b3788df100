#!/usr/bin/env bats
# What the Makefile takes from its caller, what it makes anew, and what it says of itself.

bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	plain_build "how it is built is the same"
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	tmp=$BATS_TEST_TMPDIR
	# What the outer make was called with is not for ours.
	make=(env -u MAKEFLAGS -u MAKELEVEL -u CC -u CFLAGS make --no-print-directory)
}

# value_of EXPRESSION [MAKE-ARGUMENT...]
value_of() {
	"${make[@]}" "${@:2}" --eval "show-value: ; @printf '%s\n' '$1'" show-value
}

# compiler NAME COMMAND...: one that says it is for aarch64, and runs these commands else
compiler() {
	printf '%s\n' '#!/bin/sh' '[ "$1" != -dumpmachine ] || { echo aarch64-linux-gnu; exit; }' \
		"${@:2}" >"$tmp/$1"
	chmod 755 "$tmp/$1"
}

# Made by the compiler from one file, into a directory of its own.
object_is_made() {
	"${make[@]}" out="$tmp/out" "$@" "$tmp/out/preload/base/clock.o" | grep -q 'clock\.o'
}

@test "of the environment make takes the usual variables and no others" {
	local usual name names taken=()
	usual='CC|CXX|AR|PKG_CONFIG|(CPP|C|CXX|LD)FLAGS|DESTDIR|PREFIX|prefix|[a-z]+dir'
	usual+='|CURDIR|MAKE.*|v|page' # make's own, and those of loops
	names=$(grep -ohE '\$\([A-Za-z_]+\)' Makefile tests/tests.mk | tr -d '$()' | sort -u |
		grep -vxE "$usual")
	for name in $names; do
		taken+=("$name=of-the-environment")
	done
	[ "${#taken[@]}" -ge 30 ]
	run -0 env "${taken[@]}" "${make[@]}" --eval \
		"show: ; @\$(foreach v,$(echo $names),echo \$v \$(origin \$v);)" show
	[[ $output != *environment* ]] || { grep environment <<<"$output"; return 1; }
	run -0 env "${taken[@]}" "${make[@]}" --eval 'show: ; @echo $(B) $$SAN $$B' show
	[ "$output" = "build build" ]
}

@test "the machine is the compiler's" {
	compiler for_another
	run -0 value_of '$(machine) $(subst '\'',,$(lib_cflags))' CC="$tmp/for_another"
	[[ $output == aarch64\ *-mbranch-protection=bti*/libunwind-aarch64.so.8* ]]
	[[ $output != *-fcf-protection* ]]
}

@test "a change of flags or of the compiler makes objects anew, and else nothing is made" {
	object_is_made
	run object_is_made
	[ "$status" -eq 1 ]
	object_is_made CFLAGS=-O1
	object_is_made CFLAGS=-O1 CC=gcc
	run object_is_made CFLAGS=-O1 CC=gcc libdir=/elsewhere
	[ "$status" -eq 1 ]
}

@test "what a command failed to make is not left behind" {
	compiler fails 'while [ "$1" != -o ]; do shift || exit 0; done; echo half >"$2"; exit 1'
	run "${make[@]}" out="$tmp/out" CC="$tmp/fails" "$tmp/out/preload/base/clock.o"
	[ "$status" -ne 0 ]
	[ ! -e "$tmp/out/preload/base/clock.o" ]
}

@test "lists of files are in the same order everywhere" {
	run grep -nP '(?<!\(sort \$\()wildcard ' Makefile tests/tests.mk
	[ "$status" -eq 1 ]
}

@test "the command, the manual and pkg-config tell one version" {
	local version page
	version=$(value_of '$(version)')
	[[ $version == [0-9]*.*[0-9] ]]
	[ "$("$B/sockleak" --version)" = "sockleak $version" ]
	"${make[@]}" -s install DESTDIR="$tmp/root" prefix=/usr >/dev/null
	for page in "$tmp"/root/usr/share/man/man*/*; do
		grep -q "^\.TH .*\"sockleak $version\"" "$page" || { echo "$page"; return 1; }
	done
	export PKG_CONFIG_PATH=$tmp/root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$tmp/root
	[ "$(pkg-config --modversion sockleak)" = "$version" ]
	[ -e "$(pkg-config --variable=library sockleak)" ] || [ -e "$tmp/root$(pkg-config --variable=library sockleak)" ]
	printf '#include <sockleak.h>\nint main(void) { return sockleak_check(); }\n' >"$tmp/asks.c"
	cc -Werror $(pkg-config --cflags sockleak) -o "$tmp/asks" "$tmp/asks.c"
	"$tmp/asks"
	# It is written once.
	[ "$(git grep -lF "\"$version\"" -- Makefile preload tools)" = preload/common/ledger.h ]
}

@test "deps-build names what building needs, and deps that and more" {
	local build all package
	build=$("${make[@]}" -n deps-build)
	all=$("${make[@]}" -n deps)
	for package in build-essential libunwind-dev uthash-dev libdw-dev libelf-dev libjansson-dev; do
		[[ " $build " == *" $package "* && " $all " == *" $package "* ]] || { echo "$package"; return 1; }
	done
	[[ $build != *bats* && $all == *" bats "* ]]
	grep -q 'make deps-build' README.md
}

@test "make clean removes what a build made, and nothing else" {
	mkdir -p "$tmp/data" "$tmp/out"
	echo "/srv *(ro)" >"$tmp/data/exports"
	run -2 "${make[@]}" clean out="$tmp/data"
	[ -e "$tmp/data/exports" ]
	"${make[@]}" out="$tmp/out" "$tmp/out/exports"
	"${make[@]}" clean out="$tmp/out"
	[ ! -e "$tmp/out" ]
}
