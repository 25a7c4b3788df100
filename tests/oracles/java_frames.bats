#!/usr/bin/env bats
# The frames of Java programs, as a part of the library captures them in calls, against
# those that Java itself sees.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/java

setup() {
	java_setup
}

# java PROGRAM [ARGUMENT...]: of the version in $home, with $options; compares
java() {
	rm -f captured
	# shellcheck disable=SC2086
	CAPTURED=$PWD/captured LD_PRELOAD=$fixtures/java_preload.so \
		"$home/bin/java" -Xmx256m $options -cp classes "$@" >noted 2>said
	run /usr/bin/python3 "$top/tests/fixtures/java_compare.py" captured noted
	echo "$home $options $* $SHIFT: status $status: $output $(tail -n 2 said)"
	grep -q '^done' noted
	read -r equal cut none wrong < <(sed -nE \
		'$s/^([0-9]+) equal, ([0-9]+) cut, ([0-9]+) none, ([0-9]+) wrong,$/\1 \2 \3 \4/p' <<<"$output")
}

trees() {
	java -Dunloaded=classes JavaTrees "$@"
}

# What is in virtual threads, from 21 on, may be cut.
all_agree() {
	[ "$status" -eq 0 ]
	[ "$equal" -gt "$1" ]
	[ "$none$wrong" = 00 ]
	[[ $home != *17* ]] || [ "$cut" = 0 ]
}

@test "every frame of 1,000 random trees of calls has its class, method, file and line" {
	for home in $(java_homes); do
		compile JavaTrees
		for options in '' -Xint -XX:TieredStopAtLevel=1 -XX:-TieredCompilation; do
			trees 1 20000 300
			all_agree 400
		done
	done
}

@test "whatever collector moves the objects" {
	for home in $(java_homes); do
		compile JavaTrees
		for collector in Serial Parallel G1 Z Shenandoah; do
			options=-XX:+Use${collector}GC
			"$home/bin/java" $options -version || continue
			trees 2 4000 200 8
			all_agree 250
		done
	done
}

@test "whatever the machine inlines, and in a small or whole code cache" {
	for home in $(java_homes); do
		compile JavaTrees
		for options in -Xcomp -XX:-Inline -XX:-UseCompressedOops \
			'-XX:-SegmentedCodeCache -XX:ReservedCodeCacheSize=6m'; do
			trees 3 4000 100
			all_agree 120
		done
	done
}

@test "a class that takes the place of one that was unloaded has its own names" {
	for home in $(java_homes); do
		compile JavaReuse
		for options in -XX:+UseSerialGC -XX:TieredStopAtLevel=1; do
			java -Dpattern=classes/Pattern_0000.class JavaReuse 400
			[ "$(sed -n 's/^done //p' noted)" -gt 100 ]
			all_agree 799
		done
	done
}

@test "in 48 threads, with a collector at work and a full code cache" {
	for home in $(java_homes); do
		compile JavaTrees
		options='-XX:+UseParallelGC -XX:ReservedCodeCacheSize=6m'
		trees 6 2000 4000 48
		all_agree 4000
	done
}

# back: the library of JavaNative, and its agent and versions of the class that it redefines
back() {
	cc -shared -fPIC -I"$home/include" -I"$home/include/linux" -o libback.so -x c - -lpthread <<-'END'
		#include <jni.h>
		#include <pthread.h>
		static JavaVM *machine;
		static jclass class;
		static jint from;
		static void call(JNIEnv *env, jint n)
		{
			jmethodID down = (*env)->GetStaticMethodID(env, class, "down", "(I)V");
			(*env)->CallStaticVoidMethod(env, class, down, n);
		}
		JNIEXPORT void JNICALL Java_JavaNative_up(JNIEnv *env, jclass own, jint n)
		{
			class = (*env)->NewGlobalRef(env, own);
			call(env, n);
		}
		static void *attached(void *nothing)
		{
			JNIEnv *env;
			(*machine)->AttachCurrentThread(machine, (void **)&env, NULL);
			call(env, from);
			(*machine)->DetachCurrentThread(machine);
			return nothing;
		}
		JNIEXPORT void JNICALL Java_JavaNative_inThread(JNIEnv *env, jclass own, jint n)
		{
			pthread_t thread;
			(*env)->GetJavaVM(env, &machine);
			class = (*env)->NewGlobalRef(env, own);
			from = n;
			pthread_create(&thread, NULL, attached, NULL);
			pthread_join(thread, NULL);
		}
	END
	for version in 0 1; do
		echo "${version/0/}" | tr 1 '\n' >JavaNative.java
		echo 'class Moved { static void open() { JavaNative.open(); } }' >>JavaNative.java
		"$home/bin/javac" -cp classes -d $version JavaNative.java
	done
	printf 'Premain-Class: JavaNative\nCan-Redefine-Classes: true\n' >manifest
	"$home/bin/jar" cfm agent.jar manifest -C classes JavaNative.class
}

@test "through C and back, in threads of C, and of classes that are redefined meanwhile" {
	for home in $(java_homes); do
		compile JavaNative
		back
		for options in -Xmixed -Xint -Xcomp; do
			java -javaagent:agent.jar -Djava.library.path=. -Dversions=. JavaNative 100
			all_agree 399
			grep -qF '(null:' noted # it was redefined under a frame
		done
	done
}

@test "of frames that another thread deoptimises while they stand" {
	for home in $(java_homes); do
		compile JavaDeopt
		for options in '' -XX:TieredStopAtLevel=1 -XX:-TieredCompilation; do
			java JavaDeopt
			all_agree 399
		done
	done
}

@test "under a filter there are the same frames" {
	export FILTERED=1
	for home in $(java_homes); do
		compile JavaTrees
		trees 4 4000 100
		all_agree 100
	done
}

@test "a layout that is wrong in one field yields no wrong frame, and no crash" {
	for home in $(java_homes); do
		compile JavaTrees
		for field in $(fields); do
			for bytes in -8 8; do
				export SHIFT=$field:$bytes
				trees 5 1000 40 2
				[ "$wrong" = 0 ]
			done
		done
	done
}

# Those that this version has.
fields() {
	SHIFT=fields trees 5 10 8 1 >/dev/null
	sed -n 's/^FIELD //p' said
}
