# shellcheck shell=bash
# Waiting for a condition: a deadline, not a sleep.

# wait_until SECONDS COMMAND...: as soon as it succeeds, or fails at the deadline
wait_until() {
	local end=$((SECONDS + $1))

	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || { echo "never came true: $*" >&2; return 1; }
		sleep 0.02
	done
}

# ended_with STATUS PID: waits for a child of this shell, and compares its status
ended_with() {
	local got=0

	wait "$2" || got=$?
	[ "$got" = "$1" ] || { echo "ended with $got, expected $1" >&2; return 1; }
}
