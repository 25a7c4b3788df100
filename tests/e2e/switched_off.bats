#!/usr/bin/env bats
# Where the library must not work it is as if it were not there.

bats_require_minimum_version 1.5.0
load ../lib/guest

setup() {
	guest_setup
	cd "$BATS_TEST_TMPDIR"
	chmod 755 .
}

# In a copy of /etc, in a mount namespace: the library in ld.so.preload, and a program of
# root's that another user executes.
set_up_etc() {
	mount -t tmpfs none /mnt
	cp -a /etc /mnt/etc
	cp "$library" /mnt/libsockleak.so
	install -m 4755 "$fixtures/guest_cancels" /mnt/setuid
	chmod 755 /mnt
	echo /mnt/libsockleak.so >/mnt/etc/ld.so.preload
	mount --bind /mnt/etc /etc
}

@test "a setuid program that is given the library by ld.so.preload runs as without it" {
	plain_build "the runtime must come first"
	[ "$(id -u)" = 0 ] && unshare -m true || skip "only root may make one"
	export library fixtures
	export -f set_up_etc
	unshare -m bash -ec 'set_up_etc; exec setpriv --reuid 65534 --clear-groups /mnt/setuid' >out
	printf 'uid 65534, effective 0\ncancelled\n' | diff - out
}

@test "of two copies of the library in one process one reports" {
	plain_build "the runtime must come first"
	cp "$library" second.so
	LD_PRELOAD="$library $PWD/second.so" run -0 "$fixtures/guest_processes" leaks
	[ "$(grep -c 'SUMMARY: sockleak: 1 socket leaked' <<<"$output")" = 1 ]
	[ "$(grep -c ERROR <<<"$output")" = 1 ]
}
