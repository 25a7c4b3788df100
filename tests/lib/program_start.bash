# shellcheck shell=bash
# How each script of tests/programs begins.  It prints what must be the same with and
# without the library; tests/lib/check_programs runs it both ways.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/lib/programs.bash

D=$(mktemp -d "${TMPDIR:-/tmp}/programs.XXXXXX")
chmod 755 "$D"
ended() {
	local status=$?

	stop_all
	if ((status)); then
		tail -n 20 "$D"/*.err >&2
	fi
	# What was printed about sockets, wherever it went, is for the caller.
	cat "$D"/*.err "$D"/*.log 2>/dev/null | grep -a 'sockleak: ' >&2 || true
	rm -rf "$D"
	exit "$status"
}
trap ended EXIT
