#!/usr/bin/env bats
# What the command takes of time and memory: `make check-cost`, on a machine that has
# nothing else to do.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
}

@test "1,000 ledgers with 100,000 leaked sockets take less than 2 s and 256 MB" {
	without_runtime "its time and memory are the runtime's"
	make_ledgers many
	local format
	for format in --color=auto --json --sarif=out --junit=out --tap --folded; do
		/usr/bin/python3 - "$sockleak" report "$format" ledgers <<-'PY'
			import os, subprocess, sys
			with open("out.txt", "w") as out:
			    process = subprocess.Popen(sys.argv[1:], stdout=out)
			    _, status, used = os.wait4(process.pid, 0)
			seconds = used.ru_utime + used.ru_stime
			print(f"{sys.argv[3]}: {seconds:.2f} s of processor, {used.ru_maxrss} kB")
			sys.exit(status != 0 or seconds > 2 or used.ru_maxrss > 256 * 1024)
		PY
	done
	"$sockleak" report --json ledgers >json
	equal '[1000,50,100000]' "$(of '[(.processes | length), (.leaks | length), ([.leaks[].count] | add)]')"
}

# A program of more than 100 MB with 80 units of DWARF, by copies of one object.  Not
# optimised: that would take three times as long, to no end.
generate_large() {
	awk 'BEGIN { for (i = 0; i < 3000; i++) {
		printf "struct s%d { int a%d; struct s%d *next%d; long values%d[7]; union { int u%d; char c%d; } either%d; };\n", i, i, i, i, i, i, i, i
		printf "int f%d(struct s%d *p, int x) { int sum = 0; for (int k = 0; k < x; k++) { int t = p->a%d + k; if (t > 3) { int inner = t * 2; sum += inner; } else sum -= t; } p->a%d = sum; return sum + p->either%d.u%d; }\n", i, i, i, i, i, i
	} }' >large.c
	cc -g -O0 -c large.c
	seq 80 | xargs -P2 -I{} objcopy --prefix-symbols=c{}_ large.o large{}.o
	echo 'int main(void) { return 0; }' | cc -g -x c -c -o main.o -
	cc -o large main.o large[0-9]*.o
	rm large[0-9]*.o
}

# Beside addr2line, which is asked the same: how fast this machine is, and what else it has
# to do, does not count.
@test "100 MB of debug information take at most half of what addr2line takes, and 512 MB" {
	plain_build "its time and memory are the sanitizer's"
	generate_large
	[ "$(stat -c %s large)" -gt 100000000 ]
	local addresses
	addresses=$(nm large | awk '$3 ~ /_f(7|1500|2999)$/ { print $1 }' |
		while read -r start; do printf '0x%x\n' $((0x$start + 8)); done)
	for address in $addresses; do
		printf '    #0 %s (%s+%s)\n' "$address" "$PWD/large" "$address"
	done >log
	[ "$(wc -l <log)" -eq 240 ]
	/usr/bin/python3 -B "$top/tests/lib/memory.py" "$sockleak" symbolize log >out 2>kilobytes
	[ "$(grep -c "large.c:" out)" -eq 240 ]
	# shellcheck disable=SC2086 # many words
	run /usr/bin/python3 -B "$top/tests/lib/slowdown.py" 6 0.5 addr2line -f -e large $addresses :: \
		"$sockleak" symbolize log
	echo "# symbolized $(stat -c %s large) bytes, all units: $(cat kilobytes) KB; $output" >&3
	[ "$status" -eq 0 ]
	[ "$(cat kilobytes)" -lt $((512 * 1024)) ]
}
