#!/usr/bin/env bats
# Installed, moved, or run from the build directory: the command finds its library, its
# manual page and its completion tell what it takes.

load ../lib/sanitizer

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
	"$1" run sh -c 'echo "$LD_PRELOAD"'
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
	cp -a "$root/$B"/{preload,tools,exports,libdir,libsockleak.so,sockleak} build
	install_into out="$PWD/build" prefix="$PWD/prefix" libdir="$PWD/prefix/lib/x86_64-linux-gnu"
	[ "$(library_of prefix/bin/sockleak)" = "$(realpath prefix/lib/x86_64-linux-gnu/sockleak/libsockleak.so)" ]
	grep -q "$PWD/prefix/lib/x86_64-linux-gnu/sockleak/libsockleak.so" prefix/share/man/man1/sockleak.1
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
	"$root/$B/sockleak" "$1" --help | sed -nE 's/^  (-h, )?(--[a-z-]+|-o).*/\2/p'
}

@test "every option is in the manual page and in the completion" {
	local command option
	. "$root/tools/sockleak.bash-completion"
	sed 's/\\-/-/g' "$root/tools/sockleak.1" >page
	for command in run report list scan symbolize; do
		for option in $(options_of "$command"); do
			grep -qe "$option" page || { echo "$command $option is not in the manual page"; return 1; }
			[[ " $(_sockleak_options "$command" | tr -s '\n\t' ' ') " =~ \ "$option"=?\  ]] ||
				{ echo "$command $option is not completed"; return 1; }
		done
		# And nothing that is none.
		for option in $(_sockleak_options "$command"); do
			options_of "$command" | grep -qxe "${option%=}" || { echo "$command has no $option"; return 1; }
		done
	done
}

@test "every option of the library is in the manual page and in the completion" {
	local name
	for name in $(SOCKLEAK_OPTIONS=help=1 LD_PRELOAD=$root/$B/libsockleak.so "$host" 2>&1 | sed -nE 's/^  ([a-z_]+)=.*/\1/p'); do
		grep -q "^\.BR $name \"" "$root/tools/sockleak.1" || { echo "$name is not in the manual page"; return 1; }
		grep -qE "[[:space:]']$name=" "$root/tools/sockleak.bash-completion" || { echo "$name is not completed"; return 1; }
		names+=" $name"
	done
	[ "$(wc -w <<<"$names")" -ge 12 ]
}

# complete WORDS...: what is offered for the last one.
complete_words() {
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
	_sockleak
	echo "${COMPREPLY[*]}"
}

@test "the completion offers commands, options, values, and the program's own files" {
	. "$root/tools/sockleak.bash-completion"
	touch report.ledger
	[ "$(complete_words sockleak r)" = "run report" ]
	[ "$(complete_words sockleak scan --e)" = "--error-exitcode=" ]
	[ "$(complete_words sockleak run --color = al)" = always ]
	[ "$(complete_words sockleak run -o at_)" = at_exit= ]
	[ "$(complete_words sockleak report rep)" = report.ledger ]
	[ "$(complete_words sockleak run --json = x.json -- ls report.)" = report.ledger ]
	[ "$(complete_words sockleak run --grace = 5s ls --e)" = "" ]
	[[ " $(complete_words sockleak list "$BASHPID") $(complete_words sockleak list "$$") " == *" $$ "* ]]
}
