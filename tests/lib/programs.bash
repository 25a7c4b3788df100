# shellcheck shell=bash
# What tests of real programs share.  Everything happens in a private directory, on
# loopback, and only what was started here is stopped, by its pid.
#
#     $library   the library to preload; empty = bare
#     $options   SOCKLEAK_OPTIONS for it
#     $D         the private directory

# shellcheck source=tests/lib/common.bash
source "${BASH_SOURCE%/*}/common.bash"

patience_s=${patience_s:-60}
started=() # pids
user=()    # what makes a command another user's

# Of a test of bats: bare, with ledgers in $D/ledgers once $options keep them there.
programs_setup() {
	common_setup
	D=$BATS_TEST_TMPDIR
	mkdir "$D/ledgers"
	library=''
}

# The report over all processes, into $D/json.
read_report() {
	"$sockleak" report --json "$D/ledgers" >"$D/json"
}

# preloaded COMMAND [ARGUMENT...]: with the library, or bare
preloaded() {
	if [ -n "${library:-}" ]; then
		"${user[@]}" env LD_PRELOAD="$library" SOCKLEAK_OPTIONS="${options:-}" "$@"
	else
		"${user[@]}" "$@"
	fi
}

# start COMMAND [ARGUMENT...]: the same in the background; its pid is in $pid, its output
# in $D/NAME.out and $D/NAME.err
start() {
	local name=${1##*/}

	if [ -n "${library:-}" ]; then
		set -- LD_PRELOAD="$library" SOCKLEAK_OPTIONS="${options:-}" "$@"
	fi
	# A shell's background ignores SIGINT; bats waits for whoever holds its descriptor 3.
	"${user[@]}" env --default-signal=INT,QUIT "$@" \
		>>"$D/$name.out" 2>>"$D/$name.err" 3>&- </dev/null &
	pid=$!
	started+=("$pid")
}

# be_nobody: what root runs from now on is an unprivileged user's, who has $D/home and,
# where ledgers are kept, one that he may write
be_nobody() {
	local ledger=${options##*ledger=}

	mkdir "$D/home"
	export HOME=$D/home
	[ "$(id -u)" -eq 0 ] || return 0
	user=(setpriv --reuid nobody --regid nogroup --clear-groups)
	chown nobody "$D/home"
	if [[ ${options:-} == *ledger=* ]]; then
		mkdir "$ledger/nobody"
		chown nobody "$ledger/nobody"
		options=${options%ledger=*}ledger=$ledger/nobody
	fi
}

# until_true COMMAND [ARGUMENT...]: waits for it, at most $patience_s
until_true() {
	wait_until "$patience_s" "$@"
}

has_ended() {
	local state

	[ -r "/proc/$1/stat" ] || return 0
	state=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) || return 0
	[ "${state%% *}" = Z ]
}

# stop PID [SIGNAL]: ends what was started here; returns its exit status
stop() {
	kill -"${2:-TERM}" "$1"
	until_true has_ended "$1" || kill -KILL "$1"
	wait "$1"
}

listens() {
	ss -Htln "sport = :$1" | grep -q .
}

# A port below those the kernel gives to clients; $port
pick_port() {
	for _ in {1..50}; do
		port=$((RANDOM % 20000 + 10000))
		[ -n "$(ss -Htan "sport = :$port")" ] || return 0
	done
	echo 'no free port was found' >&2
	return 1
}

# stop_all: at the end, whatever happened
stop_all() {
	local one

	for one in "${started[@]}"; do
		has_ended "$one" || kill "$one" 2>/dev/null || true
	done
	for one in "${started[@]}"; do
		patience_s=5 until_true has_ended "$one" 2>/dev/null ||
			kill -KILL "$one" 2>/dev/null || true
		wait "$one" 2>/dev/null || true
	done
}

# write_nginx_conf PORT [LINE...]: $D/nginx.conf, two workers, pages in $D/www
write_nginx_conf() {
	local at=$1
	shift
	mkdir -p "$D/www" "$D/tmp"
	echo 'hello' >"$D/www/index.html"
	seq 400000 >"$D/www/big"
	# Workers stay who they are, or they could keep no ledger.
	cat >"$D/nginx.conf" <<-END
		$([ "$(id -u)" -ne 0 ] || echo 'user root;')
		worker_processes 2;
		error_log stderr warn;
		pid $D/nginx.pid;
		events { worker_connections 512; }
		http {
			access_log off;
			client_body_temp_path $D/tmp/body;
			proxy_temp_path $D/tmp/proxy;
			fastcgi_temp_path $D/tmp/fastcgi;
			uwsgi_temp_path $D/tmp/uwsgi;
			scgi_temp_path $D/tmp/scgi;
			upstream itself { server 127.0.0.1:$at; keepalive 4; }
			server {
				listen 127.0.0.1:$at;
				root $D/www;
				location /proxied/ {
					proxy_pass http://itself/;
					proxy_http_version 1.1;
					proxy_set_header Connection "";
				}
				$*
			}
		}
	END
}

start_nginx() {
	start nginx -p "$D/" -c "$D/nginx.conf" -e stderr -g 'daemon off;'
	nginx=$pid
}

# load SECONDS URL [OPTION...]: wrk; prints how many requests went wrong, those that a busy
# machine answers late not among them
load() {
	local seconds=$1 url=$2
	shift 2
	preloaded wrk -t 2 -c 20 -d "${seconds}s" --timeout 60s "$@" "$url" \
		>"$D/wrk.out" 2>"$D/wrk.err"
	grep -qE '^ +[1-9][0-9]* requests in' "$D/wrk.out"
	grep -E 'Socket errors|Non-2xx' "$D/wrk.out" || echo 'wrk: no errors'
}
