#!/usr/bin/env bats
# tests/lib/lint_bats names the assertions that cannot fail, and only these; includes_table
# names what the linker looks for in vain.

bats_require_minimum_version 1.5.0

# named LINE...: in the text on standard input these are named, and no others
named() {
	sed 's/^TEST/@test "one"/' >"$BATS_TEST_TMPDIR/text"
	"$BATS_TEST_DIRNAME/../lib/lint_bats" "$BATS_TEST_TMPDIR/text" >"$BATS_TEST_TMPDIR/found" || true
	diff <(printf '%s\n' "$@") <(cut -d: -f2 "$BATS_TEST_TMPDIR/found")
}

@test "a failure after ! or left of && in the middle is named" {
	named 2 3 <<-'END'
		TEST {
			! grep x file
			[ a = b ] && [ c = d ]
			! grep x file || return 1
			[[ a == b && c == d ]]
			[ a = b ] && c=1
			! grep x file
		}
	END
}

@test "a run of which nobody asks what came of it is named" {
	named 3 5 <<-'END'
		TEST {
			run -0 false
			run false
			[[ $output != x ]]
			run false
			run false
			[ "$status" -eq 1 ]
			run false
			[[ $output == x ]]
			run ! true
		}
	END
}

@test "grep -qv is named" {
	named 2 3 <<-'END'
		TEST {
			grep -qv x file
			grep -vq x file
			grep -q v file
		}
	END
}

@test "a call that hides the failures of a function is named" {
	named 13 14 15 16 <<-'END'
		asserts() {
			[ "$1" = x ]
			[ "$2" = y ]
		}

		returns() {
			[ "$1" = x ] || return
			[ "$2" = y ]
		}

		TEST {
			asserts a b
			asserts a b || return 1
			if asserts a b; then false; fi
			[ "$(asserts a b)" = x ]
			run -0 asserts a b
			returns a b || return 1
		}
	END
}

@test "a name that the linker's script lists and no source has is named" {
	cd "$BATS_TEST_TMPDIR"
	git init -q
	mkdir -p preload/base
	echo 'int kept, elsewhere;' >preload/base/one.c
	echo 'int there;' >preload/base/two.c
	echo '/* .bss.said */ *(.bss.kept .text.renamed) *two.o(.bss.there .bss.elsewhere)' >preload/order.ld
	run -1 "$BATS_TEST_DIRNAME/../lib/includes_table"
	[ "$output" = "preload/order.ld: renamed is not in preload/
preload/order.ld: elsewhere is not in two" ]
}
