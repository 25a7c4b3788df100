#!/usr/bin/env bats
# Random hosts and a model of them (guest_model.c): what is reported of each is what the
# contract says, no more and no less.  A difference is shrunk by naming fewer steps to the
# fixture; what it showed belongs into the corpus.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
}

# One line a socket, as the fixture has them.  $roots: processes that are no children.
lines='
	(.leaks[], .pending[]) as $place | $place.sockets[]
	| .holders[0].pid as $pid
	| select(.verdict or ($roots | index($pid)))
	| ($place.origin[0].function // $place.origin_note) as $function
	| [.cookie, $pid, ([.holders[].fd] | sort | map(tostring) | join(",")),
	   .verdict // "-", .kind,
	   if $function == "unknown" or (.why | index("held-by-child")) then "?"
	   else .why | join(",") end,
	   $place.call // "-", $function,
	   if $function == "unknown" then "0" else .peer // ":0" | split(":")[-1] end]
	| join(" ")'

# as_modelled OPTIONS "FIXTURE OPTIONS" SEED...
as_modelled() {
	local options=$1 how seed ledger
	read -ra how <<<"$2"
	shift 2

	tmp=$(mktemp -d "$BATS_TEST_TMPDIR/XXXXXX")
	mkdir -m 700 "$tmp/ledger"
	for seed; do
		(preloaded "log=$tmp/log.%p:format=json:ledger=$tmp/ledger:$options" \
			"$fixtures/guest_model" "${how[@]}" "$seed" 60) >>"$tmp/said"
	done
	for ledger in "$tmp"/ledger/*; do
		"$build/sockleak" report --json "$ledger"
	done | jq -r --argjson roots "$(grep -x '[0-9]*' "$tmp/said" | jq -s .)" "$lines" |
		sort >"$tmp/reported"
	grep -vx '[0-9]*' "$tmp/said" | sort >"$tmp/modelled"
	# it is about something
	grep -q ' exit ' "$tmp/modelled" && grep -q ' - ' "$tmp/modelled"
	# where the model does not say why, nor need the report
	awk 'NR == FNR { if ($6 == "?") any[$1 $2] = 1; next }
		($1 $2) in any { $6 = "?" } { print }' "$tmp/modelled" "$tmp/reported" |
		diff "$tmp/modelled" -
	# The library's own count, process by process.
	grep ' exit ' "$tmp/modelled" | cut -d' ' -f2 | sort | uniq -c |
		awk '{ print $2, $1 }' >"$tmp/counted"
	jq -r 'select(.event == "summary" and .leaked > 0) | "\(.pid) \(.leaked)"' \
		"$tmp"/log.* | sort | diff "$tmp/counted" -
}

@test "random hosts: what is reported is what the contract says, without the helper thread" {
	as_modelled thread=no "" $(seq 1 12)
}

@test "random hosts: what is reported is what the contract says, with the helper thread" {
	as_modelled interval=1ms "" $(seq 101 108)
}

@test "random hosts of four threads: what is reported is what the contract says" {
	as_modelled interval=1ms "-t 4" $(seq 201 204) &&
		as_modelled thread=no:interval=1ms "-t 4" $(seq 205 208)
}
