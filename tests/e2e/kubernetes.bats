#!/usr/bin/env bats
# The example for Kubernetes: what its containers are given, in a root file system that has
# a program and its C library, and nothing else.

bats_require_minimum_version 1.5.0

setup() {
	load ../lib/command
	common_setup
	plain_build "the image has no runtime"
	[ "$(id -u)" = 0 ] && unshare -m true || skip "only root may mount"
	[ "$(uname -m)" = x86_64 ] || skip "the example names the directories of x86_64"
	deployment=$PWD/examples/kubernetes/deployment.yaml
	cd "$BATS_TEST_TMPDIR"
	image=$PWD/image
}

# of_pod EXPRESSION: its value, of the pod's `spec`; of a list one a line
of_pod() {
	/usr/bin/python3 -c '
import sys, yaml
spec = yaml.safe_load(open(sys.argv[1]))["spec"]["template"]["spec"]
server = spec["containers"][0]
value = eval(sys.argv[2])
print(*value if isinstance(value, list) else [value], sep="\n")' "$deployment" "$1"
}

# copy_with_libraries PROGRAM NAME: into the image
copy_with_libraries() {
	local file

	install -D "$1" "$image/$2"
	for file in $(ldd "$1" | grep -o '/[^ ]*'); do
		install -D "$file" "$image/$file"
	done
}

make_image() {
	mkdir -p "$image"/{proc,sockleak,ledgers,tmp}
	copy_with_libraries "$fixtures/actor" srv/shop
	copy_with_libraries /bin/env bin/env
}

# What the init container does, with the library of this build.
fill_volume() {
	mkdir volume
	of_pod 'spec["initContainers"][0]["command"][2]' |
		sed "s#/usr/local/lib/sockleak/libsockleak.so#$library#; s#/sockleak/\$#volume/#" >init
	sh -e init
	[ -s volume/libsockleak.so ]
}

# As the kubelet does: a volume, or a file of it, where the container wants it.
mount_volumes() {
	local from at

	mount --rbind "$image" "$image"
	mount -t proc proc "$image/proc"
	while read -r from at; do
		[ -d "$from" ] && mkdir -p "$image/$at" || install -D /dev/null "$image/$at"
		mount --bind "$from" "$image/$at"
	done <mounts
}

# in_pod COMMAND...: in the server's container
in_pod() {
	chroot "$image" env -i "${environment[@]}" "$@"
}

serve() {
	mount_volumes
	mapfile -t environment <environment
	in_pod /srv/shop open 2 leave read 2>log
	in_pod /bin/env /srv/shop open 1 drop 2>>log # what is not the server makes no ledger
}

@test "the server is watched with its origins, though its image has no libunwind, and only the server" {
	make_image
	fill_volume
	of_pod '[(mount["name"] + "/" + mount.get("subPath", "")).rstrip("/") + " " + mount["mountPath"] for mount in server["volumeMounts"]]' |
		sed 's/^sockleak/volume/; s/^ledgers/kept/' >mounts
	of_pod '[one["name"] + "=" + one["value"] for one in server["env"]]' >environment
	mkdir kept
	export image
	export -f serve mount_volumes in_pod
	unshare -m --propagation private bash -ec serve
	grep -q 'ERROR: sockleak: 2 sockets left in CLOSE_WAIT' log
	grep -q '#0 0x.* in take+' log
	equal "$(uname -n)" "$(ls kept)"
	run -0 "$sockleak" report --json=json "kept/$(uname -n)"
	equal '[1,2,"/srv/shop"]' "$(of '[(.leaks | length), .leaks[0].count, .leaks[0].origin[0].module]')"
	equal '["/srv/shop"]' "$(of '[.processes[].exe] | unique')"
}
