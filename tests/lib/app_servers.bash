# shellcheck shell=bash
# What tests of servers for apps in a language share: an app, a fixture, that loses a
# connection to its upstream in each request, and a server of Debian's that runs it.
#
#     $app   the app; $port and $at, where its server is to listen

# shellcheck source=tests/lib/programs.bash
source "${BASH_SOURCE%/*}/programs.bash"

# app_servers_setup INTERPRETER APP: after programs_setup; the interpreter runs the app as
# its own upstream
app_servers_setup() {
	app=$2
	pick_port
	export UPSTREAM=$port
	start "$1" "$app" upstream "$UPSTREAM"
	until_true listens "$UPSTREAM"
	pick_port
	# shellcheck disable=SC2034 # for the tests
	at=127.0.0.1:$port
	library=$build/libsockleak.so
	options=grace=100ms:interval=50ms:ledger=$D/ledgers
}

answers() {
	[ "$(curl -sS -m 10 "http://127.0.0.1:$port/$1" 2>/dev/null)" = ok ]
}

# line NAME: of the app
line() {
	grep -n "# line: $1\$" "$app" | cut -d: -f1
}

has_lost_three() {
	read_report
	jq -e 'any(.leaks[]; .count == 3)' "$D/json" >/dev/null
}

# serves_three REQUEST SERVER [ARGUMENT...]: each of the three loses a connection
serves_three() {
	local request=$1
	shift
	type "$1" >/dev/null
	start "$@"
	until_true answers ready
	for _ in 1 2 3; do
		answers "$request"
	done
	until_true has_lost_three
}

# lost_in EXPECTED FILTER: count, function, file and line of the first frame that jq's
# FILTER lets through, of each place
lost_in() {
	equal "$1" "$(jq -c --arg app "$app" "[.leaks[] | [.count,
		([.origin[] | select($2)][0] | .function, .file, .line)]]" "$D/json")"
}
