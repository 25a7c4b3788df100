#!/usr/bin/env bats
# What `make bench` says of what it measured: a bound holds, is exceeded, or was not
# measured; and how the run ends.

load ../lib/common

setup() {
	common_setup
}

# rule LINE...: python in which the rule is there, and row(BOUND, RATIO...), one with pairs
# of these ratios
rule() {
	/usr/bin/python3 -B - <<-PYTHON
		import sys
		sys.path.insert(0, "tests/bench")
		from rule import *
		def row(bound, *ratios):
		    made = Row("a row", bound)
		    for ratio in ratios:
		        made.add([0.9, 1.0, 1.7], [ratio * by for by in (0.8, 1.0, 1.2)])
		    return made
		$(printf '%s\n' "$@")
	PYTHON
}

# verdict_of BOUND RATIO...: of as many pairs as it takes, and how many rounds it took
verdict_of() {
	rule "rounds = []" "def measure():" "    rounds.append(1)" "    return [row($(IFS=,; echo "$*"))]" \
		"print(measured(measure)[0].verdict(), len(rounds))"
}

@test "a bound holds where the upper end of the interval is at or below it" {
	[ "$(verdict_of 1.03 1.00 1.01 1.02 1.01 1.00 1.03 1.02)" = "holds 1" ]
	[ "$(verdict_of 1.03 0.99 1.01 1.02 1.01 1.00 1.03)" = "holds 1" ]
}

@test "a bound does not hold because the ratio or the lower end of its interval is below it" {
	[ "$(verdict_of 1.03 0.99 1.01 1.02 1.01 1.00 1.031)" != "holds 1" ]
	rule "one = row(1.03, 0.80, 1.30, 0.85, 1.25, 1.14, 1.00, 0.95, 0.90)" \
		"assert one.as_json()['ratio'] < 1.03 < one.interval()[1]" \
		"assert one.verdict() == 'not measured', one.verdict()"
}

@test "a bound is exceeded where the lower end of the interval is above it" {
	[ "$(verdict_of 1.03 1.05 1.06 1.04 1.05 1.07 1.05 1.06)" = "exceeded 1" ]
}

@test "what noise hides is measured 5 times, and then said not to be measured" {
	[ "$(verdict_of 1.03 0.80 1.30 0.85 1.25 1.14 1.00 0.95 1.40)" = "not measured 5" ]
}

@test "too few pairs for an interval are no proof, until there are more" {
	[ "$(verdict_of 1.03 1.00 1.01 1.02)" = "holds 2" ]
	[ "$(verdict_of 1.03 1.10 1.11 1.12)" = "exceeded 2" ]
}

@test "no round is begun when the time is over" {
	rule "one = measured(lambda: [row(1.03, 0.8, 1.2, 0.8, 1.2, 0.8, 1.2)], lambda: False)[0]" \
		"assert (one.verdict(), len(one.pairs)) == ('not measured', 6)"
}

# By the tables of the test: two-sided, 5 %.
@test "the interval is that of the signed-rank test" {
	rule "sizes = 6, 7, 8, 9, 10, 11, 12, 15, 20, 25" \
		"assert [left_out(n) for n in sizes] == [0, 2, 3, 5, 8, 10, 13, 25, 52, 89]"
	rule "one = row(1.03, 1.00, 1.01, 1.02, 1.03, 1.04, 1.05, 1.06)" \
		"low, high = one.interval()" \
		"assert abs(one.as_json()['ratio'] - 1.03) < 1e-9" \
		"assert (round(low, 4), round(high, 4)) == (1.01, 1.05), (low, high)"
}

@test "one slice that was disturbed moves nothing, nor does one pair" {
	rule "one = row(1.03, *[1.01] * 11, 9.0)" "one.add([1, 1, 50], [1.01, 1.01, 1.01])" \
		"assert one.verdict() == 'holds', one.interval()"
}

# ends_with STATUS VERDICT...: a run of rows of which this is said
ends_with() {
	/usr/bin/python3 -B - "$@" <<-PYTHON
		import importlib.machinery, importlib.util, sys
		sys.path.insert(0, "tests/bench")
		loader = importlib.machinery.SourceFileLoader("run", "tests/bench/run")
		run = importlib.util.module_from_spec(importlib.util.spec_from_loader("run", loader))
		loader.exec_module(run)
		from rule import Row
		ratios = {"holds": [1.0] * 6, "exceeded": [1.1] * 6,
		          "not-measured": [0.80, 1.30, 0.85, 1.25, 1.14, 1.00, 0.95, 1.40]}
		def row(word):
		    made = Row(f"{word} row", 1.03)
		    made.pairs = [(1.0, ratio) for ratio in ratios[word]]
		    return made
		def rows(bench, seconds):
		    return {word: lambda word=word: [row(word)] for word in words}
		run.rows = rows
		wanted, words = int(sys.argv[1]), sys.argv[2:]
		sys.argv = ["run", "${B:-build}"]
		sys.exit(run.main() != wanted)
	PYTHON
}

@test "a run ends with 1 where a row was exceeded or not measured, or there was none" {
	ends_with 0 holds
	ends_with 1 holds exceeded
	ends_with 1 not-measured holds
	ends_with 1
}

@test "a run says which host was measured and what a system call costs there" {
	ends_with 1 not-measured >"$BATS_TEST_TMPDIR/out"
	grep -qxE '\| not-measured row \|.*\| 1\.03 \| \*\*not measured\*\* \|' "$BATS_TEST_TMPDIR/out"
	grep -qE "Linux $(uname -r); a system call that does nothing \(getppid\) takes [1-9][0-9]* ns" "$BATS_TEST_TMPDIR/out"
}
