# shellcheck shell=bash
# Random hosts and a model of them (tests/fixtures/guest_model.c): runs hosts, and compares
# what the model says must be reported with what the command and the library report.
# For tests/e2e/model.bats and tests/lib/shrink_model.

# shellcheck source=tests/lib/guest.bash
source "${BASH_SOURCE%/*}/guest.bash"

steps=() # of each host: these alone, where any are named
fresh=${MODEL_SEED-} # not empty: nobody has chosen the seeds, and few hosts may hold nothing

# One line a socket, as the fixture has them.  $roots: processes that are no children.
# shellcheck disable=SC2016 # jq's own variables
lines='
	(.leaks[], .pending[]) as $place | $place.sockets[] | select(.closed == null)
	| .holders[0].pid as $pid
	| select(.verdict or ($roots | index($pid)))
	| ($place.origin[0].function // $place.origin_note) as $function
	| [.cookie, $pid, ([.holders[].fd] | sort | map(tostring) | join(",")),
	   .verdict // "-", .kind,
	   if $function == "unknown" or (.why | index("held-by-child")) then "?"
	   else .why | join(",") end,
	   $place.call // "-", $function,
	   if $function == "unknown" then "0" else .peer // "0" end]
	| join(" ")'

# one_host OPTIONS "FIXTURE OPTIONS" SEED: what it said, in $tmp/said.SEED, and after the
# line of each socket when the process had ended
one_host() {
	local how status=0
	read -ra how <<<"$2"

	(GUEST_LEDGER=$tmp/ledger preloaded \
		"log=$tmp/log.%p:format=json:ledger=$tmp/ledger:$1" \
		"$fixtures/guest_model" "${how[@]}" "$3" 60 "${steps[@]}") >"$tmp/$3" || status=$?
	awk 'NR == FNR { ended = int($1 * 1000) + 20; next }
		NF == 10 { $11 = ended } { print }' /proc/uptime "$tmp/$3" >"$tmp/said.$3"
	return $status
}

# all_hosts OPTIONS "FIXTURE OPTIONS" SEED...: four at a time, they wait most of the time
all_hosts() {
	local seed pid pids=()

	for seed in "${@:3}"; do
		one_host "$1" "$2" "$seed" 3>&- &
		pids+=($!)
		((${#pids[@]} < 4)) && continue
		wait "${pids[0]}" || return
		pids=("${pids[@]:1}")
	done
	for pid in "${pids[@]}"; do wait "$pid" || return; done
}

# What must be reported: the verdict at exit is left to the options, a young socket may
# have become a leak before the process ended, a child says nothing of what is pending.
# Where a socket of a program that became another one was opened is known if the former
# program had looked at it, or its capture been unwound.  Of a socket that a program passed
# to itself, and whose other descriptors it closed before the library looked, it is known
# where it was received.
# shellcheck disable=SC2016 # awk's own variables
judge='
	NR == FNR {
		verdict[$1 $2] = $4; place[$1 $2] = $8; peer[$1 $2] = $9
		next
	}
	NF == 1 { is_root[$1] = 1 }
	NF < 10 { next }
	sub(/^inherited[|]/, "", $8) {
		if (place[$1 $2] == "inherited") $7 = "-"
		if (place[$1 $2] == "received") $7 = "recvmsg"
		if (place[$1 $2] == "unknown") $6 = "?"
		if (place[$1 $2] ~ /^(inherited|received|unknown)$/) $8 = place[$1 $2]
		if (peer[$1 $2] == "0") $9 = 0
	}
	sub(/^passed[|]/, "", $8) {
		if (place[$1 $2] == "pass") { $6 = "?"; $7 = "recvmsg"; $8 = "pass" }
	}
	$4 == "was" { $4 = rule ? "-" : "grace" }
	rule && $4 == "exit" { $4 = "-" }
	$10 != "-" && $10 <= $11 && verdict[$1 $2] == "grace" { $4 = "grace" }
	$4 == "perhaps" { next }
	$4 != "-" || $2 in is_root { NF = 9; print }'

pids_of_ledgers() {
	find "$tmp/ledger" -type f -printf '%f\n' | cut -d. -f1 | sort
}

# as_modelled OPTIONS "FIXTURE OPTIONS" SEED...
as_modelled() {
	local pid rule=
	[[ $1 == *at_exit=* ]] && rule=1

	tmp=$(mktemp -d "$BATS_TEST_TMPDIR/XXXXXX")
	mkdir -m 700 "$tmp/ledger"
	: >"$tmp/log.none" # few steps may leave nothing to print
	all_hosts "$@" || return
	cat "$tmp"/said.* >"$tmp/said"
	for pid in $(pids_of_ledgers | uniq); do
		"$build/sockleak" report --json "$tmp/ledger/$pid".*
	done >"$tmp/reports"
	jq -r --argjson roots "$(grep -x '[0-9]*' "$tmp/said" | jq -s .)" "$lines" \
		"$tmp/reports" | sort >"$tmp/reported"
	awk -v rule="$rule" "$judge" "$tmp/reported" "$tmp/said" | sort >"$tmp/modelled"
	# It is about something, unless it is being shrunk, or the seeds are chance's.
	if [ ${#steps[@]} -eq 0 ] && [ -z "$fresh" ]; then
		grep -Eq ' (exit|grace) ' "$tmp/modelled" || return
		grep -q ' - ' "$tmp/modelled" || return
	fi
	# where the model does not say why, nor need the report; and what was pending at the
	# last look of a program that became another one
	awk 'FILENAME == "-" { has_become[$1] = 1; next }
		FILENAME ~ /modelled/ { has[$1 $2] = 1; if ($6 == "?") any[$1 $2] = 1; next }
		has_become[$2] && $4 == "-" && !has[$1 $2] { next }
		any[$1 $2] { $6 = "?" } { print }' \
		- "$tmp/modelled" "$tmp/reported" < <(pids_of_ledgers | uniq -d) |
		diff "$tmp/modelled" - || return
	# what was closed late
	jq -r '(.processes[] | "closed \(.pid) \(.closed_late.count)"),
		(.leaks[].sockets[] | select(.closed == "end") | "closed \(.holders[0].pid) 1")' "$tmp/reports" |
		awk '$1 == "closed" { n[$2] += $3 }
			$1 == "late" { least[$2] += $3; most[$2] += $4 }
			END { for (pid in least) {
				if (n[pid] >= least[pid] && n[pid] <= most[pid]) continue
				print pid ": closed late: " n[pid] ", expected " \
					least[pid] " to " most[pid]; bad = 1 }
				exit bad }' - "$tmp/said" || return
	# The library's own count, process by process; what only the former program knew to be
	# a leak may be in it.
	[[ $1 != *at_exit=none* ]] || return 0
	jq -r 'select(.event == "summary") | "\(.pid) \(.leaked - .closed_by_end)"' "$tmp"/log.* |
		awk 'NF == 2 { n[$1] = $2; next }
			$1 == "former" { is_former[$3 $2] = 1 }
			NF == 9 && $4 != "-" { most[$2]++; least[$2] += !is_former[$1 $2] }
			END { for (pid in most) n[pid] += 0
				for (pid in n) {
				if (n[pid] >= least[pid] && n[pid] <= most[pid]) continue
				print pid ": leaked: " n[pid] ", expected " \
					least[pid] + 0 " to " most[pid] + 0; bad = 1 }
				exit bad }' - "$tmp/said" "$tmp/modelled"
}
