# shellcheck shell=bash
# What differs from run to run in a text report, replaced by words; for comparing it with
# what a document shows.

# shellcheck source=tests/lib/common.bash
source "${BASH_SOURCE%/*}/common.bash"

# Pids, addresses, offsets, ports, descriptors, ages, how many frames the C library has,
# where the program lies, the counts behind the leaks.
without_numbers() {
	sed -E \
		-e 's/==[0-9]+==/==PID==/g' \
		-e 's/(#[0-9]+) 0x[0-9a-f]+ /\1 ADDRESS /g' \
		-e 's/\+0x[0-9a-f]+ \(/+OFFSET (/g' \
		-e 's/\(([^() ]*\/)?([^()/ ]+)\+0x[0-9a-f]+\)/(\2+OFFSET)/g' \
		-e 's/\bfd [0-9]+/fd N/g' \
		-e 's/\.\.\. [0-9]+ of ([^0-9])/... N of \1/g' \
		-e 's/(leaked at [0-9]+ places?) in ([^ ]*\/)?([^ /]+)/\1 in \3/g' \
		-e 's/(\[::ffff:127\.0\.0\.1\]|127\.0\.0\.1):[0-9]+/HOST:PORT/g' \
		-e 's/(oldest|for|read|told|down) [0-9][0-9.]*(ms|s|m|h|d)[0-9hms]*/\1 AGE/g' \
		-e 's/(used|e\.g\.) [0-9][0-9.]*(ms|s|m|h|d)[0-9hms]* ago/\1 AGE ago/g' \
		-e 's/by thread [0-9]+/by thread N/g' \
		-e 's/python3\.[0-9]+/python3/g' \
		-e 's/(leaked at [0-9]+ places?( \([^)]*\))?); [0-9]+ opened, [0-9]+ closed(; [0-9]+ missed, [0-9]+ dropped)?/\1; .../g'
}

# The frames below main, which are the C library's, as "...".  Those of a sanitizer's own
# stand-ins go, and the rest is counted anew.
without_libc() {
	awk '/^ *\.\.\.$/ { next } # of a document that leaves them out itself
	     !/^ +#[0-9]/ { below = 0; n = 0; print; next }
	     below || / in __interceptor_/ { next }
	     { sub(/#[0-9]+/, "#" n++); print }
	     / in main[+ ]/ { below = 1; print "    ..." }'
}

# Line breaks and indentation do not count: documents are narrower.
squeezed() {
	tr -s ' \n' ' ' | sed 's/ $//'
}

# A report as documents show it.
normalise_report() {
	without_libc | squeezed | without_numbers
}

# The lines of a command and its output in the head comment of an example: those that are
# indented by five spaces.
shown_in_head() {
	sed -n '/^ \*     \$/,/^ \*\//s/^ \*     //p' "$1"
}

# The command of such lines, "$ " and the continuation taken away.
command_of() {
	awk '/^\$ / { taking = 1; sub(/^\$ /, "") }
	     taking { line = $0; more = sub(/\\$/, "", line); printf "%s ", line
	              if (!more) exit }'
}

# What stands below it.
output_of() {
	awk 'started { print } /^\$ / { taking = 1 } taking && !/\\$/ { started = 1; taking = 0 }'
}
