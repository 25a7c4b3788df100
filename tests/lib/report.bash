# shellcheck shell=bash
# What differs from run to run in a text report, replaced by words; for comparing it with
# what a document shows.

# Pids, addresses, offsets, ports, descriptors, ages; frames below main, which are the C
# library's; the counts behind the leaks.
normalise_report() {
	sed -E \
		-e 's/==[0-9]+==/==PID==/' \
		-e 's/(#[0-9]+) 0x[0-9a-f]+ /\1 ADDRESS /' \
		-e 's/\+0x[0-9a-f]+ \(/+OFFSET (/' \
		-e 's/\(([^()]*\/)?([^()/]+)\+0x[0-9a-f]+\)/(\2+OFFSET)/' \
		-e 's/\(fd [0-9]+/(fd N/' \
		-e 's/127\.0\.0\.1:[0-9]+/HOST:PORT/g' \
		-e 's/(oldest|for|read|told|down) [0-9][0-9.]*(ms|s|m|h|d)[0-9hms]*/\1 AGE/' \
		-e 's/(leaked at [0-9]+ places?;).*/\1 .../' |
		awk '/^ +#[0-9]/ { if (below) next }
		     !/^ +#[0-9]/ { below = 0 }
		     { print }
		     /^ +#[0-9]+ ADDRESS in main\+/ { below = 1; print "    ..." }'
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

# Line breaks and indentation do not count: comments and documents are narrower.
squeezed() {
	tr -s ' \n' ' '
}
