#!/usr/bin/env bats
# The text report at a glance: of a program in C++ with ten places and 500 sockets, which
# has backtraces of 56 frames and names of 500 characters.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
	without_runtime "its frames are among the program's"
	places=$fixtures/ten_places
}

# glance ARGUMENT...: the report of the ten places, in the file `text`
glance() {
	"$sockleak" run --at-exit=all "$@" -- "$places" 2>text
}

@test "ten places and 500 sockets are at most 130 lines of 100 columns" {
	glance --json=json
	[ "$(wc -l <text)" -le 130 ]
	[ "$(awk '{ print length }' text | sort -n | tail -n 1)" -le 100 ]
	equal '[10,500]' "$(of '[(.leaks | length), ([.leaks[].count] | add)]')"
	# What is left out there is in the JSON.
	equal true "$(of '[.leaks[].origin | length > 40] | all')"
}

@test "the end of the terminal is a table of the places, the most sockets first" {
	glance
	sed -n '/^     sockets  oldest/,/^$/p' text | tail -n +2 | head -n -1 >table
	equal "200 120 60 45 30 20 12 8 4 1" "$(awk '{ print $2 }' table | xargs)"
	equal "[1] 200 accept4 gateway::open_accept_0" "$(awk 'NR == 1 { print $1, $2, $4, $5 }' table)"
	grep -qE '^\[2\] +120 .* socket   gateway::open_connect_1 .*ten_places\.cc:[0-9]+$' table
	[[ $(tail -n 1 text) == "=="*"==SUMMARY: sockleak: 500 sockets leaked at 10 places; 1001 opened, 500 closed" ]]
	[ "$(wc -l < <(sed -n '/^     sockets  oldest/,$p' text))" = 13 ]
}

@test "places that one helper opened are told apart by the call that differs" {
	make_ledgers one_helper
	"$sockleak" report --output=text --tap=tap --html=page.html --github ledgers 2>annotations
	sed -n '/^     sockets  oldest/,/^$/p' text >table
	equal "     sockets  oldest  by       in            at              from
[1]        7    8.0s  accept   note: for /a
[2]        6    8.0s  accept   note: for /b
[3]        5    8.0s  accept   take          /srv/pool.py:7  main /srv/main.py:90
[4]        4    8.0s  accept   take          /srv/pool.py:7  main /srv/main.py:91
[5]        3    8.0s  accept   take          /srv/pool.py:7  upload /srv/api.py:30
[6]        2    8.0s  accept   take          /srv/pool.py:7
[7]        1    8.0s  accept   take          /srv/pool.py:7  upload /srv/api.py:30" "$(cat table)"
	grep -q '^not ok 4 - .*, opened in take (/srv/pool\.py:7) from main (/srv/main\.py:91)$' tap
	grep -q '^not ok 6 - .*, opened in take (/srv/pool\.py:7)$' tap
	equal "from main from upload" "$(grep -oE 'take( from [a-z]+)?::' annotations | sed 's/take *//; s/:://' | sort -u | xargs)"
	equal 4 "$(grep -c '<span class="from">from <span class="name">[a-z]*</span>' page.html)"
}

@test "libraries, recursion and callers that were shown are folded" {
	glance
	sed -n '/^\[1\]/,/^$/p' text >first
	[[ $(grep -c '^      ' first) -le 8 ]]
	grep -qE '^      gateway::dispatch<>  x8 .*ten_places\.cc:[0-9]+$' first
	grep -qE '^      \.\.\. [0-9]+ of libstdc\+\+ and libc$' first
	grep -qE '^    told by recv\(\) in  read_end  .*ten_places\.cc:[0-9]+$' first
	grep -q '^      \.\.\. from gateway::end_of_peer<>, gateway::open_accept_0 and the same callers$' first
	sed -n '/^\[2\] 120 sockets left in CLOSE_WAIT, oldest .*: the end of stream is still unread$/,/^$/p' text >second
	grep -q '^      \.\.\. from the same callers as \[1\]$' second
	run ! grep -E 'std::|\(std|0x|dispatch<[0-9]' text
}

@test "who accepted and who connected is said with the call" {
	glance
	equal 4 "$(grep -c '^    accepted by accept4() in$' text)"
	equal 6 "$(grep -c '^    opened to connect by socket() in$' text)"
	grep -qE '^    e\.g\. fd [0-9]+, client 127\.0\.0\.1:[0-9]+ of 127\.0\.0\.1:[0-9]+$' text
	grep -qE '^    e\.g\. fd [0-9]+, 127\.0\.0\.1:[0-9]+ to 127\.0\.0\.1:[0-9]+$' text
}

@test "what to do is said once for each reason" {
	glance
	equal 1 "$(grep -c '^What to do:$' text)"
	equal "(eof-read): (never-read):" "$(sed -n '/^What to do:$/,/^$/s/^  [^ ].* //p' text | xargs)"
}

@test "with --verbose all frames are there in full" {
	glance --verbose
	[ "$(grep -c '^    #5[0-9] 0x' text)" -ge 10 ]
	grep -qE 'in void gateway::dispatch<7>\(.*std::vector<' text
	run ! grep -E '^\[1\]|What to do|  x8' text
	grep -qE '^process [0-9]+ \(exit\)' text
}

# leaker: a program whose source is here
leaker() {
	mkdir -p src
	cp "$top/tests/fixtures/run_host.c" src/host.c
	gcc -g -O1 -I"$top/preload" -o host src/host.c
	line=$(grep -m 1 ' = accept(' src/host.c | sed 's/^[[:space:]]*//')
}

shows_line() {
	"$sockleak" run -- ./host leak 1 2>text
	grep -qF "        > $line" text
}

@test "the line of the source stands below the first frame" {
	leaker
	shows_line
	grep -A 1 '^      accept_client ' text | tail -n 1 | grep -qF "> $line"
}

@test "no line is shown of a file that is newer than the program, gone, or none" {
	leaker
	touch -d '+1 minute' src/host.c
	run ! shows_line
	touch -d '-1 minute' src/host.c
	shows_line
	rm src/host.c
	run ! shows_line
	mkfifo src/host.c
	run ! shows_line
	grep -q 'src/host.c:' text
}

@test "no line is shown of a file that its owner keeps from others, if the program is another's" {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	leaker
	chmod 600 src/host.c
	shows_line
	chown 12345 host
	run ! shows_line
	chmod 644 src/host.c
	shows_line
}

@test "colors mark counts, the first frame and what is folded, where they are wanted" {
	glance --color=always
	grep -qE $'^\e\\[1;31m==[0-9]+==ERROR: sockleak: 500 .*\e\\[0m$' text
	grep -q $'^\[1\] \e\[1;31m200 sockets\e\[0m left' text
	grep -q $'^      \e\[1mgateway::open_accept_0\e\[0m  ' text
	grep -q $'^      \e\[90m\.\.\. from the same callers as \[1\]\e\[0m$' text
	glance --color=never
	run ! grep $'\e' text
	NO_COLOR=1 glance
	run ! grep $'\e' text
	make_ledgers leak
	"$sockleak" report --color=always ledgers >text
	grep -q $'^\[2\] \e\[33m1 socket\e\[0m pending' text
}

@test "a place in a library alone, a place without frames, and names without ends are shown" {
	make_ledgers places
	"$sockleak" report ledgers >text
	grep -qE '^      code without a name  +libpool\.so\.1\+0x77$' text
	grep -q '^    origin: unknown, opened by a call the library does not see$' text
	grep -qE '^\[3\] +2 .* origin unknown$' text
	make_ledgers hostile_names other
	"$sockleak" report other >text
	run ! grep -P '[^\n -~]' text
}

@test "plain preload ends with the places in the same order, and names symbolize once" {
	SOCKLEAK_OPTIONS=at_exit=all:thread=no LD_PRELOAD=$library "$places" 2>log
	equal "200 120 60 45 30 20 12 8 4 1" "$(sed -nE 's/^==[0-9]+==ERROR: sockleak: ([0-9]+) .*/\1/p' log | xargs)"
	equal 1 "$(grep -c 'sockleak symbolize' log)"
	[[ $(tail -n 2 log | head -n 1) == *"sockleak symbolize"* ]]
	equal 5 "$(grep -c 'The end of stream is still unread\.$' log)"
}
