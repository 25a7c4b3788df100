#!/usr/bin/env bats
# Python programs: where their sockets were opened is told in their own functions and lines.

bats_require_minimum_version 1.5.0
load ../lib/preload

program=$PWD/tests/fixtures/python_leaks.py

# Each different stack, with how many there are of it.
of_python() {
	jq -cs 'group_by(.) | map([length, .[0]]) | sort[]'
}

of_report() {
	jq -cs '[.[] | select(.event == "leak") | [.count,
		([.origin[] | select(.language == "python") | [.function, .line, .file]]
		| until(.[0][2] | endswith("/socket.py") | not; .[1:]))]] | sort[]' "$errors"
}

@test "every frame of a report is what Python says it was" {
	for more in '' :thread=no; do
		logged "format=json:frames=128$more" /usr/bin/python3 "$program" >"$BATS_TEST_TMPDIR/expected"
		[ "$(wc -l <"$BATS_TEST_TMPDIR/expected")" -gt 28 ]
		equal "$(of_python <"$BATS_TEST_TMPDIR/expected")" "$(of_report)"
	done
}

# embedded FILE LOADED WHEN [OPTIONS]: in a program of C, see host_python.c
embedded() {
	local python
	python=$(/usr/bin/python3 -c 'import sys; print("libpython%d.%d.so.1.0" % sys.version_info[:2])')
	/usr/bin/python3 -c "import ctypes; ctypes.CDLL('$python')" || skip "no $python"
	PYTHONHOME=/usr logged "format=json:frames=128${4:-}" "$B/tests/fixtures/host_python" \
		"$python" "$2" "$3" "$1" >"$BATS_TEST_TMPDIR/expected"
}

@test "a program that loads Python while it runs has Python's frames" {
	for more in before after 'after :thread=no'; do
		# shellcheck disable=SC2086
		embedded "$program" global $more
		[ "$(wc -l <"$BATS_TEST_TMPDIR/expected")" -gt 28 ]
		equal "$(of_python <"$BATS_TEST_TMPDIR/expected")" "$(of_report)"
	done
	embedded "$program" global after :languages=no
	run ! grep -q '"language":"python"' "$errors"
}

@test "where its names are not there for others, too" {
	# What is loaded so can load no modules of C.
	cat >"$BATS_TEST_TMPDIR/leaks.py" <<-'END'
		import _socket, os
		listener = _socket.socket()
		listener.listen()
		def leak():
		    client = _socket.socket()
		    client.connect(listener.getsockname())
		    os.close(listener._accept()[0])
		    client.recv(1)
		    client.detach()
		leak()
		os._exit(0)
	END
	for how in before after; do
		embedded "$BATS_TEST_TMPDIR/leaks.py" local $how
		equal '[["leak",5],["<module>",10],["<module>",2]]' "$(jq -c 'select(.event == "leak") |
			[.origin[] | select(.language) | [.function, .line]]' "$errors")"
	done
}

@test "text begins with the program's own lines" {
	logged '' /usr/bin/python3 "$program" >/dev/null
	says '^    #0 leak at .*/python_leaks.py:26$'
	says '^    #1 made at plugin é.py:42$'
	run ! grep -q 'python3.11+0x' "$errors"
	# They have their lines already.
	run ! grep -q 'sockleak symbolize' "$errors"
	logged languages=no /usr/bin/python3 "$program" >/dev/null
	says 'sockleak symbolize'
}

@test "rules of the library match functions of Python" {
	echo 'leak:^leak$' >"$BATS_TEST_TMPDIR/rules"
	logged "suppressions=$BATS_TEST_TMPDIR/rules" /usr/bin/python3 "$program" >/dev/null
	run ! grep -q 'ERROR' "$errors"
}

@test "with languages=no the frames are the interpreter's" {
	logged languages=no:format=json /usr/bin/python3 "$program" >/dev/null
	says '"event":"leak"'
	run ! grep -q '"language":"python"' "$errors"
}

@test "a forked child, and a child of that, have frames of their own" {
	logged format=json /usr/bin/python3 -c '
import os, socket
listener = socket.create_server(("127.0.0.1", 0))
kept = []
def leak_in_child():
    kept.append(socket.create_connection(listener.getsockname()))
    listener.accept()[0].close()
    kept[-1].recv(1)
for _ in range(2):
    if (child := os.fork()):
        os.waitpid(child, 0)
        os._exit(0)
leak_in_child()
os._exit(0)'
	equal '["leak_in_child",6]' "$(jq -c 'select(.event == "leak") |
		[.origin[] | select(.function == "leak_in_child") | .function, .line]' "$errors")"
}

# Python >= 3.12 warns where it finds a second thread after a fork.  Debian 12's is older:
# a program that looks like one, and looks as it does.
@test "after a fork Python finds no thread of the library's, which then is there again" {
	not_with thread "its runtime has a thread of its own"
	cc -rdynamic -I tests/lib -I preload -D_GNU_SOURCE -o "$BATS_TEST_TMPDIR/host" -x c - <<-'C'
		#include "guest.h"
		#include <sys/wait.h>
		unsigned long Py_Version = 0x030c0000;
		void *PyGILState_GetThisThreadState(void) { return NULL; }
		static int n_threads(void)
		{
			FILE *stat = fopen("/proc/self/stat", "r");
			int n = 0;
			must(fscanf(stat, "%*d %*s %*c %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %d", &n) == 1);
			must(!fclose(stat));
			return n;
		}
		int main(int argc, char **argv)
		{
			alarm(60);
			finish(connected());
			for (int i = 0; i < 3; i++) {
				while (argc > 1 && guest_n_threads() != 2)
					pause_ms(1);
				pid_t pid = fork();
				if (!pid)
					_exit(0);
				printf("%d\n", n_threads());
				must(waitpid(pid, NULL, 0) == pid);
			}
			(void)argv;
			return 0;
		}
	C
	equal $'1\n1\n1' "$(logged log=stderr "$BATS_TEST_TMPDIR/host" helper)"
	equal $'1\n1\n1' "$(logged thread=no "$BATS_TEST_TMPDIR/host")"
}

@test "os.fork() of a Python with a connection warns of nothing" {
	equal ok "$(logged log=stderr /usr/bin/python3 -W always::DeprecationWarning -c '
import os, socket
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
listener.accept()[0].close()
client.close()
for _ in range(3):
	child = os.fork()
	if not child:
		os._exit(0)
	os.waitpid(child, 0)
print("ok")')"
	says_nothing
}
