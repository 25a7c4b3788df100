#!/usr/bin/env bats
# --prometheus of report, list and scan: what promtool says of it, and the numbers.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	run_setup
	host_pid=
}

teardown() {
	touch go
	[ -z "$host_pid" ] || wait "$host_pid" 2>/dev/null || true
}

# metrics FILE: whether promtool takes it without a word
metrics() {
	run -0 promtool check metrics <"$1"
	equal "" "$output"
}

# leaky_host [LIBRARY-OPTIONS]: holds 3 leaks at two places until `go` is there
leaky_host() {
	mkdir -p kept
	LD_PRELOAD=$library SOCKLEAK_OPTIONS=ledger=$PWD/kept:log=none:grace=1ms:interval=10ms \
		"$host" leak 2 lose say ready wait go >said &
	host_pid=$!
	wait_until 60 grep -q ready said
}

@test "the metrics of a report are Prometheus' text, and sums over processes" {
	make_ledgers places
	"$sockleak" report --quiet --prometheus=a.prom ledgers
	metrics a.prom
	grep -x 'sockleak_leaked_sockets{source="report",program="app",place="accept_client (make_ledgers.c:[0-9]*)",kind="close-wait"} 6' a.prom
	grep -x 'sockleak_leaked_sockets{source="report",program="app",place="libpool.so.1+0x77",kind="close-wait"} 4' a.prom
	grep -x 'sockleak_leaked_sockets{source="report",program="app",place="unknown",kind="dead"} 2' a.prom
	grep -xE 'sockleak_oldest_leak_age_seconds\{.*kind="dead"\} [0-9]+\.[0-9]{3}' a.prom
	grep -x 'sockleak_watched_processes{source="report",program="app"} 2' a.prom
	run ! grep -E 'pid|4711' a.prom
	make_ledgers clean clean
	"$sockleak" report --quiet --prometheus=a.prom clean
	metrics a.prom
	run ! grep '^sockleak_leaked_sockets' a.prom
	grep -x 'sockleak_opened_sockets_total{source="report",program="app"} 12' a.prom
}

@test "20 places have a series each, and the others are one" {
	make_ledgers many_lines
	"$sockleak" report --quiet --prometheus=a.prom ledgers
	metrics a.prom
	equal 21 "$(grep -c '^sockleak_leaked_sockets{' a.prom)"
	grep -x 'sockleak_leaked_sockets{source="report",program="other",place="other",kind="other"} 5180' a.prom
	equal 5200 "$(awk '/^sockleak_leaked_sockets\{/ { n += $NF } END { print n }' a.prom)"
}

@test "values hold names that would end them" {
	make_ledgers hostile_names
	make_ledgers marked_names marked
	"$sockleak" report --quiet --prometheus=a.prom ledgers marked
	metrics a.prom
	run ! grep -P '[\x00-\x08\x0e-\x1f\x7f]' a.prom
	# A backslash and a quote, each behind one.
	grep -F 'program="\\x1b[31m<app>&\"\\x0a"' a.prom
}

@test "list writes the metrics of what runs" {
	leaky_host
	listed() { "$sockleak" list --prometheus=a.prom "$host_pid" >text && [ "$(awk '/^sockleak_leaked_sockets\{/ { n += $NF } END { print n }' a.prom)" = 3 ]; }
	wait_until 60 listed
	metrics a.prom
	grep -xE 'sockleak_leaked_sockets\{source="list",program="run_host",place="accept_client \(run_host.c:[0-9]+\)",kind="close-wait"\} 3' a.prom
	grep -x 'sockleak_watched_processes{source="list",program="run_host"} 1' a.prom
	grep -q 'run_host (pid' text # which stays
}

@test "scan writes metrics by port, without a preload" {
	"$host" leak 2 lose say ready wait go >said &
	host_pid=$!
	wait_until 60 grep -q ready said
	scanned() { "$sockleak" scan --grace=1ms --prometheus=a.prom >text && grep -xE 'sockleak_leaked_sockets\{source="scan",program="run_host",place="port [0-9]+",kind="CLOSE_WAIT"\} 3' a.prom; }
	wait_until 60 scanned
	metrics a.prom
	[ -s text ]
}

@test "the files of all commands tell the same of a metric" {
	make_ledgers places
	"$sockleak" report --quiet --prometheus=a.prom ledgers
	list_all --prometheus=b.prom >text
	"$sockleak" scan --prometheus=c.prom >text
	equal "" "$(cat ./*.prom | grep '^#' | sort -u | cut -d' ' -f2,3 | uniq -d)"
	# Nothing else is there for a collector to read.
	equal "a.prom b.prom c.prom" "$(echo ./*.prom* | sed 's#\./##g')"
}

@test "on standard output metrics take the place of the text, and are alone there" {
	run -0 list_all --prometheus=-
	[[ ${lines[0]} == "# HELP sockleak_leaked_sockets "* ]]
	run ! grep '^sockleak: ' <<<"$output"
	local command
	for command in list scan; do
		run -2 "$sockleak" "$command" --json --prometheus=-
		equal "sockleak: $command: --json and --prometheus would both be written to standard output (--FORMAT=FILE) (see sockleak $command --help)" "$output"
		run -2 "$sockleak" "$command" --json=out --prometheus=out
		run -2 --separate-stderr "$sockleak" "$command" --prometheus=/no/where
		equal "sockleak: cannot open /no/where: No such file or directory" \
			"$(grep -v ' it has format version ' <<<"$stderr")"
	done
}

@test "the example's rules are taken, and a leak that grows is an alert" {
	cp "$top/examples/prometheus/sockleak.rules.yml" rules.yml
	promtool check rules rules.yml
	cat >test.yml <<-'EOF'
		rule_files: [rules.yml]
		evaluation_interval: 1m
		tests:
		  - interval: 1m
		    input_series:
		      - series: 'sockleak_leaked_sockets{source="list",program="grows",place="a",kind="close-wait"}'
		        values: '0+1x200'
		      - series: 'sockleak_leaked_sockets{source="list",program="pool",place="b",kind="close-wait"}'
		        values: '600x200'
		      - series: 'sockleak_oldest_leak_age_seconds{source="list",program="old",place="c",kind="dead"}'
		        values: '90000x200'
		    promql_expr_test:
		      - {expr: 'count by (alertname, program) (ALERTS{alertstate="firing"})', eval_time: 180m, exp_samples: [
		          {labels: '{alertname="SocketLeakGrows", program="grows"}', value: 1},
		          {labels: '{alertname="SocketLeakMany", program="pool"}', value: 1},
		          {labels: '{alertname="SocketLeakOld", program="old"}', value: 1}]}
	EOF
	promtool test rules test.yml
}
