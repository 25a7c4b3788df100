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

# compile CLASS: a fixture, for the version in $home, into classes
# shellcheck disable=SC2154 # the test's
compile() {
	rm -rf classes
	"$home/bin/javac" -d classes "$top/tests/fixtures/$1.java"
}
