# shellcheck shell=bash
# Versions of Java that are here.

# Where those lie whose frames are known, with a compiler.
java_homes() {
	local home version
	for home in /usr/lib/jvm/*; do
		[ -L "$home" ] || [ ! -x "$home/bin/javac" ] || version=$("$home/bin/javac" -version)
		[[ ! ${version-} =~ ^javac\ (17|25) ]] || echo "$home"
		version=
	done
}

# For tests of frames of Java; ends in a directory of the test's own.
java_setup() {
	common_setup
	plain_build "Java is not, and does not start with it"
	[ "$(uname -m)" = x86_64 ] || skip "no frames of Java on this machine"
	[ -n "$(java_homes)" ] || skip "no OpenJDK 17 or 25 with a compiler"
	cd "$BATS_TEST_TMPDIR" || return 1
}

# compile CLASS: a fixture, and what it uses, for the version in $home, into classes
# shellcheck disable=SC2154 # the test's
compile() {
	rm -rf classes
	"$home/bin/javac" -sourcepath "$top/tests/fixtures" -d classes "$top/tests/fixtures/$1.java"
}
