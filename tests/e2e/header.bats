#!/usr/bin/env bats
# The public header compiles and does nothing in every kind of program.

setup() {
	cat >"$BATS_TEST_TMPDIR/ask.c" <<-'C'
		#include <dlfcn.h> /* declares dlsym as well: that must not clash */
		#include "sockleak.h"

		int main(void)
		{
			uint64_t mark = sockleak_mark();

			sockleak_name("test");
			return sockleak_check() + sockleak_check_since(mark, 1) +
			       sockleak_expect(0) + (mark != 0);
		}
	C
	warnings="-Ipreload -Wall -Wextra -Werror -pedantic"
}

# compiles COMPILER [OPTION...]: builds the program without warnings and runs it
compiles() {
	# shellcheck disable=SC2086
	"$@" $warnings -o "$BATS_TEST_TMPDIR/ask" "$BATS_TEST_TMPDIR/ask.c"
	"$BATS_TEST_TMPDIR/ask"
}

@test "the header compiles as C99, C11 and C17 without a warning" {
	compiles cc -std=c99
	compiles cc -std=c11 -O2
	compiles cc -std=gnu17 -flto
}

@test "the header compiles as C++ without a warning" {
	compiles c++ -x c++ -std=c++11 -Wold-style-cast -Wzero-as-null-pointer-constant
	compiles c++ -x c++ -std=c++20 -O2
}

@test "the header compiles with clang" {
	type clang || skip "clang is not installed"
	compiles clang -std=c99
	compiles clang++ -x c++ -std=c++17
}

@test "the header links into static, position-dependent and static-pie executables" {
	compiles cc -static
	compiles cc -no-pie
	compiles cc -static-pie
}

@test "the header needs nothing linked with another C library" {
	type musl-gcc || skip "musl-gcc is not installed"
	compiles musl-gcc
	compiles musl-gcc -static
}

@test "a strong reference of the program's own to dlsym stays strong" {
	sed -i 's/return sockleak_check/return !dlsym(0, "getpid") + sockleak_check/' \
		"$BATS_TEST_TMPDIR/ask.c"
	compiles cc
	run readelf -Ws --dyn-syms "$BATS_TEST_TMPDIR/ask"
	[[ $output =~ GLOBAL\ DEFAULT\ +UND\ dlsym ]]
}

@test "the library's export list holds every function of the header" {
	for name in sockleak_check sockleak_mark sockleak_check_since sockleak_name \
		sockleak_expect; do
		grep -q "$name;" "$B/exports"
	done
}
