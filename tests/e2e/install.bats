#!/usr/bin/env bats
# Installed, moved, or run from the build directory: the command finds its library, its
# manual page and its completion tell what it takes.

bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	plain_build "what is installed is not"
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	root=$PWD
	B=${B:-build}
	host=$root/$B/examples/forgotten_accept
	# What the outer make was called with is not for ours.
	make=(env -u MAKEFLAGS -u MAKELEVEL make --no-print-directory)
	cd "$BATS_TEST_TMPDIR" || return 1
	unset LD_PRELOAD SOCKLEAK_OPTIONS
}

# The library that COMMAND preloads.
library_of() {
	"$1" run sh -c 'readlink "$LD_PRELOAD"'
}

install_into() {
	"${make[@]}" -C "$root" -s install "$@"
}

@test "what is installed works, and uninstall leaves nothing" {
	"${make[@]}" -C "$root" -s installcheck
}

@test "run from the build directory it takes the library beside it" {
	[ "$(library_of "$root/$B/sockleak")" = "$(realpath "$root/$B")/libsockleak.so" ]
	# Also through a link to the command.
	ln -s "$root/$B/sockleak" link
	[ "$(library_of ./link)" = "$(realpath "$root/$B")/libsockleak.so" ]
}

@test "installed and moved as a whole it takes the library that moved along" {
	install_into DESTDIR="$PWD/first" prefix=/usr
	mv first second
	[ "$(library_of second/usr/bin/sockleak)" = "$(realpath second/usr/lib/sockleak/libsockleak.so)" ]
}

@test "with a libdir of its own it takes the library from there" {
	mkdir build # what is not to be built again
	cp -a "$root/$B"/{preload,tools,exports,flags,libdir,libsockleak.so,sockleak} build
	install_into out="$PWD/build" prefix="$PWD/prefix" libdir="$PWD/prefix/lib/x86_64-linux-gnu"
	[ "$(library_of prefix/bin/sockleak)" = "$(realpath prefix/lib/x86_64-linux-gnu/sockleak/libsockleak.so)" ]
	grep -q "$PWD/prefix/lib/x86_64-linux-gnu/sockleak/libsockleak.so" prefix/share/man/man1/sockleak.1
}

@test "--library prints the path of the library, of the build and of what is installed" {
	local sockleak
	install_into DESTDIR="$PWD/first" prefix=/usr
	for sockleak in "$root/$B/sockleak" first/usr/bin/sockleak; do
		[ "$("$sockleak" --library)" = "$(library_of "$sockleak")" ]
		run env LD_PRELOAD="$("$sockleak" --library)" SOCKLEAK_OPTIONS=at_exit=all "$host"
		[[ $output == *"==SUMMARY: sockleak: 3 sockets leaked "* ]]
	done
	run "$root/$B/sockleak" --library extra
	[ "$status" -eq 2 ]
	[ "$output" = "sockleak: --library takes no argument, but got 'extra'" ]
	mkdir bin && cp "$root/$B/sockleak" bin
	[ ! -e /usr/local/lib/sockleak ] || skip "a sockleak is installed on this system"
	run bin/sockleak --library
	[ "$status" -eq 2 ]
	[[ $output == "sockleak: cannot find libsockleak.so, "* ]]
}

@test "a library in the current directory, or a search path, is never taken" {
	cp "$root/$B/sockleak" lonely
	cp "$root/$B/libsockleak.so" .
	mkdir bin && mv lonely bin
	export LD_LIBRARY_PATH=$PWD
	[ ! -e /usr/local/lib/sockleak ] || skip "a sockleak is installed on this system"
	run bin/lonely run true
	[ "$status" -eq 125 ]
	[[ $output == *libsockleak.so* ]]
}

options_of() {
	"$root/$B/sockleak" "$@" --help | sed -nE 's/^  (-[a-zA-Z], )?(--[a-z-]+).*/\2/p'
}

@test "every option is in the manual page and in the completion" {
	local command option n=0
	. "$root/tools/sockleak.bash-completion"
	COMP_WORDS=("$root/$B/sockleak")
	sed 's/\\-/-/g' "$root/tools/sockleak.1" >page
	for command in "" run report list top scan symbolize; do
		for option in $(options_of $command); do
			grep -qe "$option" page || { echo "$command $option is not in the manual page"; return 1; }
			[[ " $(_sockleak_options $command | tr -s '\n\t' ' ') " =~ \ "$option"=?\  ]] ||
				{ echo "$command $option is not completed"; return 1; }
			n=$((n + 1))
		done
		# The help says which of them take a value.
		[ "$(_sockleak_options $command | wc -l)" -eq "$(options_of $command | wc -l)" ]
	done
	[ "$n" -gt 40 ]
}

@test "every option of the library is in the manual page and in the completion" {
	local name
	for name in $(SOCKLEAK_OPTIONS=help=1 LD_PRELOAD=$root/$B/libsockleak.so "$host" 2>&1 | sed -nE 's/^  ([a-z_]+)=.*/\1/p'); do
		grep -q "^\.BR $name \"" "$root/tools/libsockleak.7" || { echo "$name is not in the manual page"; return 1; }
		grep -qE "[[:space:]']$name=" "$root/tools/sockleak.bash-completion" || { echo "$name is not completed"; return 1; }
		names+=" $name"
	done
	[ "$(wc -w <<<"$names")" -ge 12 ]
}

@test "every function of the header, and none else, is in its manual page" {
	diff <(sed -n 's/^SOCKLEAK_CALL([^,]*, \(sockleak_[a-z_]*\),.*/\1/p' "$root/preload/sockleak.h" | sort) \
		<(sed -n 's/^\.BR \(sockleak_[a-z_]*\) ()$/\1/p' "$root/tools/sockleak.h.3" | sort -u)
	# As the header declares them.
	grep -oE 'sockleak_[a-z_]+\([^)]*\)' <(tr -d '"' <"$root/tools/sockleak.h.3" | sed -n 's/^\.BI* *\(int\|uint64_t\|void\|size_t\) //p') |
		tr -s ' ' | sed 's/\* /*/; s/ \([,)]\)/\1/g' >page
	sed -n 's/^SOCKLEAK_CALL([^,]*, \(sockleak_[a-z_]*\), \((.*)\))$/\1\2/p' "$root/preload/sockleak.h" | diff - page
}

@test "every page of the manual is named by the others" {
	local page name
	for page in "$root"/tools/*.[1-8]; do
		name=${page##*/}
		name=${name%.?} name=${name/-/\\-}
		[ "$(grep -lF ".BR $name (${page: -1})" "$root"/tools/*.[1-8] | grep -cvF "$page")" -ge 3 ] ||
			{ echo "$name"; return 1; }
	done
}

# complete WORDS...: what is offered for the last one.
complete_words() {
	COMP_WORDS=("$root/$B/$1" "${@:2}") COMP_CWORD=$(($# - 1)) COMPREPLY=()
	_sockleak
	echo "${COMPREPLY[*]}"
}

@test "the completion offers commands, options, values, and the program's own files" {
	. "$root/tools/sockleak.bash-completion"
	touch report.ledger
	[ "$(complete_words sockleak r)" = "run report" ]
	[ "$(complete_words sockleak --l)" = --library ]
	[ "$(complete_words sockleak list --js)" = "--json --json=" ]
	[ "$(complete_words sockleak scan --e)" = "--error-exitcode=" ]
	[ "$(complete_words sockleak run --color = al)" = always ]
	[ "$(complete_words sockleak run -O at_)" = at_exit= ]
	[ "$(complete_words sockleak run --option = at_)" = at_exit= ]
	[ "$(complete_words sockleak run -o rep)" = report.ledger ]
	[ "$(complete_words sockleak report rep)" = report.ledger ]
	[ "$(complete_words sockleak run --json = x.json -- ls report.)" = report.ledger ]
	[ "$(complete_words sockleak run --grace = 5s ls --e)" = "" ]
	[[ " $(complete_words sockleak list "$BASHPID") $(complete_words sockleak list "$$") " == *" $$ "* ]]
}

@test "clean removes what was built, and nothing that the environment names" {
	mkdir precious own own/thread
	touch precious/file precious/exports
	echo '{ global:' >own/thread/exports # as the build begins it
	out=$PWD/precious run "${make[@]}" -C "$root" -n clean
	[[ ${lines[-1]} == "rm -rf build" ]]
	run "${make[@]}" -C "$root" out="$PWD/precious" clean
	[ "$status" -ne 0 ]
	[ -e precious/file ]
	"${make[@]}" -C "$root" out="$PWD/own" clean
	[ ! -e own ]
	"${make[@]}" -C "$root" out="$PWD/own" clean
}

@test "make deb makes a package that lintian accepts, and what it installs works" {
	mkdir -p out/deb # what is not to be built again
	cp -a "$root/$B"/{preload,tools,exports,flags,libdir,libsockleak.so,sockleak} out/deb
	DEBFULLNAME="A Builder" DEBEMAIL=builder@example.org "${make[@]}" -C "$root" -s deb out="$PWD/out"
	package=$(echo out/sockleak_*_"$(dpkg --print-architecture)".deb)
	run -0 lintian --allow-root --fail-on error,warning "$package"
	[ "$output" = "" ]
	dpkg-deb -f "$package" Depends | grep -q '\blibunwind8\b'
	mkdir -p scratch/var/lib/dpkg/{info,updates} dpkg
	touch scratch/var/lib/dpkg/{status,available}
	dpkg --root="$PWD/scratch" --log=/dev/null --force-depends -i "$package" 2>said
	run -9 scratch/usr/bin/sockleak run --error-exitcode=9 "$host"
	grep -q '^ *accept_client .*forgotten_accept.c:' <<<"$output"
	[ "$(library_of scratch/usr/bin/sockleak)" = "$(realpath scratch/usr/lib/sockleak/libsockleak.so)" ]
	dpkg --root="$PWD/scratch" --log=/dev/null --purge sockleak
	[ -z "$(find scratch/usr -type f)" ]
}
