#!/usr/bin/env bats
# Names and lines through `sockleak symbolize`, of one program built in many ways: each
# build prints where it is (tests/lib/frames.c), and its own source says which lines
# these are.

bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	common_setup
	source=$PWD/tests/lib/frames.c
	cd "$BATS_TEST_TMPDIR" || return 1
}

# build COMPILER OPTIONS...: the program and its library
build() {
	"$@" -DPART -fPIC -shared -o libpart.so "$source"
	"$@" -Wl,-rpath,"$PWD" -o program "$source" -L. -lpart
}

line_of() {
	grep -n "line of $1" "$source" | cut -d: -f1
}

# Every frame, inlined ones too, with file and line, in the order of the calls.
assert_all_resolved() {
	run "$sockleak" symbolize "$1"
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
	local expected=(
		"#0 static_function $source:$(line_of static_function)"
		"#1 part_function $source:$(line_of part_function)"
		"#2 inner_function $source:$(line_of inner_function) (inlined)"
		"#3 static_function $source:$(line_of 'its caller')"
		"#4 static_function $source:*"
	)
	local i
	for i in "${!expected[@]}"; do
		local got
		got=$(sed -E 's/^ *(#[0-9]+) 0x[0-9a-f]+ in /\1 /; s/\(\) / /; s/ \(\/.*//' <<<"${lines[i]}")
		# shellcheck disable=SC2053 # the expectation is a pattern
		[[ $got == ${expected[i]} ]] || { echo "$output"; echo "got $got, not ${expected[i]}"; return 1; }
	done
	[ "${#lines[@]}" -eq 5 ]
}

# The ways hosts are built: compiler, options.
check_builds() {
	local options
	for options in "$@"; do
		rm -f ./*.dwo
		# shellcheck disable=SC2086 # these are words
		build $options
		"$PWD/program" >log
		assert_all_resolved log || { echo "built by $options"; return 1; }
	done
}

@test "position independent and fixed programs and their libraries have names and lines" {
	check_builds "cc -g -O1" "cc -g -O2 -fpie -pie" "cc -g -O1 -no-pie" "cc -g -O0"
}

@test "every version of DWARF is read, compressed, split, and of link time optimisation" {
	check_builds "cc -g -O1 -gdwarf-3" "cc -g -O1 -gdwarf-4 -gz=zlib-gnu" "cc -g -O1 -gz" \
		"cc -g -O1 -gsplit-dwarf" "cc -g -O1 -flto" \
		"cc -g -O1 -ffunction-sections -Wl,--gc-sections"
}

@test "what clang writes is read" {
	command -v clang >/dev/null || skip "clang is not installed"
	check_builds "clang -g -O1" "clang -g -O1 -gdwarf-4 -no-pie" "clang -g -O1 -gsplit-dwarf"
}

@test "C++ names are demangled" {
	check_builds "c++ -g -O1 -x c++"
	grep -q 'static_function() ' <("$sockleak" symbolize log)
}

@test "a debug file is found by the debuglink" {
	build cc -g -O1 -Wl,--build-id=none
	objcopy --only-keep-debug program program.debug
	objcopy --strip-all --add-gnu-debuglink=program.debug program
	mkdir .debug
	mv program.debug .debug
	"$PWD/program" >log
	assert_all_resolved log
	# Not if it is another one's: the checksum says so.
	printf x >>.debug/program.debug
	run -0 "$sockleak" symbolize log
	[[ $output != *static_function* ]]
}

@test "a debug file is found by build-id in SOCKLEAK_DEBUG_PATH" {
	build cc -g -O1
	id=$(readelf -n program | sed -n 's/.*Build ID: //p')
	mkdir -p "debug/.build-id/${id:0:2}"
	objcopy --only-keep-debug program "debug/.build-id/${id:0:2}/${id:2}.debug"
	strip program
	"$PWD/program" >log
	run -0 "$sockleak" symbolize log
	[[ $output != *static_function* ]]
	export SOCKLEAK_DEBUG_PATH=relative:$PWD/debug
	assert_all_resolved log
}

@test "a debug file alone is enough where the log says the build-id" {
	build cc -g -O1
	id=$(readelf -n program | sed -n 's/.*Build ID: //p')
	"$PWD/program" | sed -E "s/(program\+0x[0-9a-f]+\))/\1 (BuildId: $id)/" >log
	mkdir -p "debug/.build-id/${id:0:2}"
	objcopy --only-keep-debug program "debug/.build-id/${id:0:2}/${id:2}.debug"
	rm program
	export SOCKLEAK_DEBUG_PATH=$PWD/debug
	run "$sockleak" symbolize log
	[[ ${lines[0]} == *" in static_function $source:$(line_of static_function) "* ]]
	[[ ${lines[2]} == *" in inner_function $source:$(line_of inner_function) (inlined) "* ]]
}

@test "debug information shared by dwz is read" {
	command -v dwz >/dev/null || skip "dwz is not installed"
	build cc -g -O1
	cp program other
	dwz -m shared.dwz program other libpart.so || skip "dwz finds nothing to share"
	"$PWD/program" >log
	assert_all_resolved log
}

@test "a stripped program gets only names that its exports really cover" {
	build cc -g -O1
	strip program libpart.so
	"$PWD/program" >log
	run "$sockleak" symbolize log
	[ "${lines[0]}" = "$(sed -n 1p log)" ]
	[[ ${lines[1]} == *" in part_function+0x"*" ($PWD/libpart.so+0x"* ]]
	[ "${lines[2]}" = "$(sed -n 3p log)" ]
}

@test "a file replaced since gives no name where the log says the build-id" {
	build cc -g -O1
	"$PWD/program" | sed -E 's/(\+0x[0-9a-f]+\))/\1 (BuildId: 00112233445566778899)/' >log
	run "$sockleak" symbolize log
	[ "$output" = "$(cat log)" ]
}

@test "a file replaced since gives no name where the log's symbol is not at its place" {
	build cc -g -O1
	start=$(nm program | sed -n 's/ t static_function//p')
	"$PWD/program" | sed -nE '1p' >first
	offset=$(sed -E 's/.*\+0x([0-9a-f]+)\).*/\1/' first)
	distance=$(printf %x $((0x$offset - 0x$start)))
	sed -E "s/ \(/ in static_function+0x$distance (/" first >right
	sed -E "s/ \(/ in static_function+0x${distance}0 (/" first >wrong
	run "$sockleak" symbolize right
	[[ $output == *" in static_function $source:$(line_of static_function) "* ]]
	run "$sockleak" symbolize wrong
	[ "$output" = "$(cat wrong)" ]
}
