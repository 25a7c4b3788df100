#!/usr/bin/env bats
# A child that keeps a ledger is found twice, by its own records and by its opener's.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	command_setup
	cd "$BATS_TEST_TMPDIR"
}

@test "a report names a holder once, whoever tells of it" {
	without_runtime "perl and sleep have no runtime of their own"
	run -9 --separate-stderr "$sockleak" run --error-exitcode=9 --grace=100ms -O interval=20ms --json=json -- \
		perl -MIO::Socket::INET -e '
			my $listener = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1) or die;
			my $client = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $listener->sockport) or die;
			$^F = 255; # what is opened from here on is inherited
			my $accepted = $listener->accept or die;
			my $child = fork;
			exec "sleep", "0.6" unless $child;
			close $client;
			close $accepted;
			waitpid $child, 0;'
	equal '[1,1]' "$(of '[.leaks[0].count, (.leaks[0].sockets[0].holders | length)]')"
	equal "[$(of '.processes[] | select(.exe | endswith("/sleep")) | .pid')]" "$(of '[.leaks[0].sockets[0].holders[].pid]')"
	[[ $stderr != *"held by fd"* ]]
}
