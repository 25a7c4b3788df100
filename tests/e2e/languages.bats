#!/usr/bin/env bats
# Frames of a language in ledgers made by hand: what the command makes of them.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
	make_ledgers python # two processes alike: 2 sockets of line 42, 1 of 43, 1 of libpq
}

@test "places are told apart by the language's lines, not by the interpreter's code" {
	json_of ledgers
	equal '[4,2,2]' "$(of '[.leaks[].count]')"
	equal '[["socket.accept",294],["Pool.checkout",42],["<module>",60]]' \
		"$(of '[.leaks[0].origin[] | select(.language == "python") | [.function, .line]]')"
	equal '[42,43]' "$(of '[.leaks[].origin[] | select(.function == "Pool.checkout").line] | unique')"
	# All that is known is there.
	equal '["/usr/bin/python3.11","/lib/libc.so.6"]' "$(of '[.leaks[0].origin[] | select(.language == null).module]')"
}

@test "text shows the language's frames, and counts what lies inside the interpreter" {
	"$sockleak" report ledgers >text
	grep -qE '^      Pool\.checkout +/srv/app\.py:42$' text
	grep -qE '^      <module> +/srv/app\.py:60$' text
	grep -q '^      \.\.\. 3 of python and the interpreter$' text
	grep -q '^      \.\.\. 3 of libpq and the interpreter$' text
	grep -qE '^\[2\] +2 .* accept +Pool\.checkout +/srv/app\.py:43$' text
}

@test "--verbose shows the interpreter's own frames, too" {
	"$sockleak" report --verbose ledgers >text
	grep -qx '    #0 socket.accept at /usr/lib/python3.11/socket.py:294' text
	grep -qx '    #3 0x10[08] (/usr/bin/python3.11+0x10[08]) (BuildId: a*)' text
	grep -q '^    #4 0x200 (/lib/libc.so.6+0x200)' text
	run -1 grep 'left out' text
}

@test "the line of the language is where JUnit, SARIF, TAP and rules say it was opened" {
	"$sockleak" report -q --junit=junit --sarif=sarif --tap=tap --folded=folded ledgers
	xmllint --noout --schema "$top/tests/lib/junit.xsd" junit
	xmllint --xpath 'string(//failure/@message)' junit |
		grep -q 'opened in Pool.checkout (/srv/app.py:42)'
	"$top/tests/lib/valid_json" "$top/tests/lib/sarif.schema.json" sarif
	equal '["file:///srv/app.py",42]' "$(jq -c '.runs[0].results[0].locations[0].physicalLocation | [.artifactLocation.uri, .region.startLine]' sarif)"
	grep -q '^    - "Pool.checkout /srv/app.py:42"$' tap
	equal '<module>;Pool.checkout;accept 4' "$(head -n 1 folded)"
	equal "leak:^Pool.checkout\$" "$("$sockleak" report --gen-suppressions ledgers | grep -m1 ^leak:)"
}

@test "rules match functions and files of a language" {
	echo 'leak:/app.py$' >rules
	json_of --suppressions=rules ledgers
	equal '[]' "$(of '.leaks')"
	echo 'leak:^Pool.check' >rules
	json_of --suppressions=rules ledgers
	equal '[]' "$(of '.leaks')"
	echo 'leak:^Pool.checkin$' >rules
	json_of --suppressions=rules ledgers
	equal '[4,2,2]' "$(of '[.leaks[].count]')"
}

@test "symbolize passes frames of a language, and goes on counting behind them" {
	local start bytes inlined
	read -r start bytes < <(nm -S "$fixtures/host_notes" | sed -n 's/ t left_open$//p')
	# The first address of it that stands in one inlined function: two frames.
	inlined=$(seq $((0x$start)) $((0x$start + 0x$bytes - 1)) | xargs printf '%x\n' |
		addr2line -aife "$fixtures/host_notes" | awk '
			/^0x/ { if (n == 4) { print at; exit } at = $1; n = 0; next } { n++ }')
	[ -n "$inlined" ]
	cat >log <<-END
		==1==ERROR: sockleak: 1 socket left in CLOSE_WAIT by its owner, for 1ms
		    #0 0x1 in left_open+$(printf %#x $((inlined + 1 - 0x$start))) ($fixtures/host_notes+$(printf %#x $((inlined + 1))))
		    #1 Pool.checkout at /srv/app.py:42
		    #2 0x1 in nothing+0x1 (/nowhere+0x1)
		  why: eof-read. See #3 of the manual.
		    #0 <module> at /srv/app.py:60
	END
	"$sockleak" symbolize log >named
	equal 2 "$(grep -c 'in .*host_notes.c\|in .*peer.h' named)"
	grep -qx '    #2 Pool.checkout at /srv/app.py:42' named
	grep -qx '    #3 0x1 in nothing+0x1 (/nowhere+0x1)' named
	grep -qx '  why: eof-read. See #3 of the manual.' named
	grep -qx '    #0 <module> at /srv/app.py:60' named
}
