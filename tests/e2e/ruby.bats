#!/usr/bin/env bats
# Ruby programs: where their sockets were opened is told in their own methods and lines.

bats_require_minimum_version 1.5.0
load ../lib/preload
load ../lib/ruby

setup() {
	ruby_setup
	program=$top/tests/fixtures/ruby_leaks.rb
}

# Each different stack, with how many there are of it.
of_ruby() {
	jq -cs 'group_by(.) | map([length, .[0]]) | sort[]'
}

of_report() {
	jq -cs '[.[] | select(.event == "leak") | [.count, [.origin[] |
		select(.language == "ruby") | [.function, .line, .file]]]] | sort[]' "$errors"
}

@test "every frame of a report is what Ruby says it was" {
	for more in '' :thread=no; do
		logged "format=json:frames=128$more" ruby "$program" >expected
		[ "$(wc -l <expected)" = 28 ]
		equal "$(of_ruby <expected)" "$(of_report)"
	done
}

@test "text begins with the program's own lines" {
	logged '' ruby "$program" >said
	says '^    #0 leak at .*/ruby_leaks.rb:16$'
	says '^    #1 block in made at plugin é.rb:42$'
	run ! grep -qE 'ruby3.1\+0x|libruby|socket\.so' "$errors"
	# They have their lines already.
	run ! grep -q 'sockleak symbolize' "$errors"
	logged languages=no ruby "$program" >said
	says 'libruby'
	run ! grep -q ruby_leaks.rb "$errors"
}

@test "rules of the library match labels of Ruby" {
	echo 'leak:^leak$' >rules
	logged "suppressions=$PWD/rules" ruby "$program" >said
	run ! grep -q 'ERROR' "$errors"
}

@test "a ledger keeps them, and the command shows them" {
	logged "ledger=$PWD:log=none" ruby "$program" >said
	"$sockleak" report ./*.sockleak >text || true
	says '^      leak +/.*/ruby_leaks.rb:16$' text
	says '^      checkout  x5 +.*/ruby_leaks.rb:28$' text
}

@test "a forked child, and a child of that, have frames of their own" {
	logged format=json ruby -rsocket -e '
LISTENER = TCPServer.new("127.0.0.1", 0)
def leak_in_child
  $kept = TCPSocket.new("127.0.0.1", LISTENER.addr[1])
  LISTENER.accept.close
  $kept.read(1)
end
2.times { Process.wait(fork || next) && exit!(true) }
leak_in_child
exit!(true)'
	equal '["leak_in_child",4]' "$(jq -c 'select(.event == "leak") |
		[.origin[] | select(.function == "leak_in_child") | .function, .line]' "$errors")"
}
