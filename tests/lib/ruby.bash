# shellcheck shell=bash
# For tests of frames of Ruby; ends in a directory of the test's own.

ruby_setup() {
	common_setup
	plain_build "Ruby is not, and does not start with it"
	[ "$(uname -m)" = x86_64 ] || skip "no frames of Ruby on this machine"
	has_ruby || skip "no Ruby 3.1"
	cd "$BATS_TEST_TMPDIR" || return 1
}

# One whose frames are known.
has_ruby() {
	[ -x /usr/bin/ruby ] && /usr/bin/ruby -e 'exit RUBY_VERSION.start_with?("3.1.")'
}
