#!/usr/bin/env bats
# Without the helper thread backtraces are unwound at the end: those of sockets that were
# closed long before, too.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	cd "$BATS_TEST_TMPDIR"
}

# closes_late SECONDS: it holds a leak past its grace, closes it, and goes on for so long
closes_late='
	my $listener = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1) or die;
	my $client = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $listener->sockport) or die;
	my $accepted = $listener->accept or die;
	close $client;
	select undef, undef, undef, 1; # past its grace, and a look a thousandth of it
	close $accepted;
	select undef, undef, undef, shift'

@test "without the helper thread a leak that was closed late has its backtrace" {
	LD_PRELOAD=$preloads SOCKLEAK_OPTIONS=thread=no:grace=100ms:interval=20ms:log=log \
		perl -MIO::Socket::INET -e "$closes_late" 1.1 # not in the last second
	grep -q 'CLOSED LATE: sockleak: 1 socket held ' log
	grep -qE '^ +#1 0x' log
	run ! grep -q 'origin: short' log
}

@test "a report of run has it, too, late or by the program's end" {
	without_runtime "perl has no runtime of its own"
	for seconds in 0 1.1; do
		"$build/sockleak" run --quiet --json=json -O thread=no -O grace=100ms -O interval=20ms -- \
			perl -MIO::Socket::INET -e "$closes_late" $seconds
		[ "$(jq -c '(.leaks + .closed_late)[0] | [(.origin | length > 1), .origin_note]' json)" = \
			'[true,null]' ]
	done
}
