# make            the library and the command, into build/
# make deps       install what building, the demo and the tests need (Debian, by name)
# make demo       a leak found in a running server
# make install    into $(prefix), $(DESTDIR) before it; uninstall takes it away again
# make check      every test; the last lines are prove's
# make bench      what it costs, as a table; minutes
# SAN=address,undefined or SAN=thread builds everything into build/SAN/.

CC      ?= cc
CXX     ?= c++
CFLAGS  ?= -O2 -g
CXXFLAGS ?= -O2 -g
prefix  ?= $(or $(PREFIX),/usr/local)
bindir  ?= $(prefix)/bin
libdir  ?= $(prefix)/lib
mandir  ?= $(prefix)/share/man
includedir ?= $(prefix)/include
completionsdir ?= $(prefix)/share/bash-completion/completions

out     ?= build
B       := $(out)$(if $(SAN),/$(SAN))

warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
	-Wvla -Wundef -Wwrite-strings -Wpointer-arith
ours    := -std=gnu11 -D_GNU_SOURCE -Ipreload $(warnings) $(if $(WERROR),-Werror) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer) -MMD -MP
# Asked when first needed: `make deps all` may install it before.
libunwind_dir = $(eval libunwind_dir := $(or $(shell pkg-config --variable=libdir libunwind \
	2>/dev/null),$(error libunwind is not there (libunwind-dev): make deps)))$(libunwind_dir)
lib_cflags = -fPIC -fvisibility=hidden -ftls-model=initial-exec -fexceptions \
	-fasynchronous-unwind-tables -fno-omit-frame-pointer -U_FORTIFY_SOURCE \
	$(if $(filter x86_64,$(shell uname -m)),-fcf-protection=full,-mbranch-protection=standard) \
	-DLIBUNWIND_FILE='"$(libunwind_dir)/libunwind-$(shell uname -m).so.8"'
lib_ldflags := -shared $(if $(filter x86_64,$(shell uname -m)),-z shstk) -Wl,-z,now,-z,relro,-z,noseparate-code,--sort-section=name -Xlinker --version-script=$(B)/exports \
	$(if $(SAN),,-Wl,-z,defs)
tool_cflags := -Itools -DLIBRARY_DIR='"$(libdir)/sockleak"'
tool_libs := -ldw -lelf -ljansson -ldl

lib_sources := $(wildcard preload/*.c)
tool_sources := $(wildcard tools/*.c tools/formats/*.c)
lib_objects := $(lib_sources:%.c=$(B)/%.o)
tool_objects := $(tool_sources:%.c=$(B)/%.o) \
	$(patsubst preload/%.c,$(B)/tools/shared/%.o,$(wildcard preload/text*.c))
# What unit tests link: everything but what takes over a process.
parts_objects := $(filter-out %/hooks.o %/start.o %/memory.o,$(lib_objects))
tool_parts := $(filter-out %/sockleak.o,$(tool_objects))
unit_tests := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/*_test.c))
fixtures := $(patsubst %.c,$(B)/%,$(wildcard tests/fixtures/*.c examples/*.c examples/suites/*/*.c)) \
	$(patsubst %.cc,$(B)/%,$(wildcard tests/fixtures/*.cc))
benches := $(patsubst %.c,$(B)/%,$(filter-out %_preload.c,$(wildcard tests/bench/*.c))) \
	$(patsubst %.c,$(B)/%.so,$(wildcard tests/bench/*_preload.c))

all: $(B)/libsockleak.so $(B)/sockleak
$(B)/libsockleak.so: $(lib_objects) $(B)/exports
	$(CC) $(if $(SAN),-fsanitize=$(SAN)) $(CFLAGS) $(lib_ldflags) $(LDFLAGS) -o $@ $(lib_objects)
$(B)/exports: preload/calls.h preload/sockleak.h
	@mkdir -p $(@D)
	{ echo '{ global:'; sed -n 's/.*CALL(\([A-Za-z0-9_]*\), [A-Z]*).*/\1;/p' preload/calls.h; \
	sed -n 's/^SOCKLEAK_CALL([^,]*, \([a-z_]*\),.*/\1;/p' preload/sockleak.h; \
	echo 'local: *; };'; } > $@
$(B)/sockleak: $(tool_objects)
	$(CC) $(if $(SAN),-fsanitize=$(SAN)) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(tool_libs)
$(B)/preload/%.o: preload/%.c ; @mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ours) $(lib_cflags) $(CFLAGS) -c -o $@ $<
$(B)/tools/shared/%.o: preload/%.c ; @mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ours) $(CFLAGS) -c -o $@ $<
$(B)/tools/%.o: tools/%.c ; @mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ours) $(tool_cflags) $(CFLAGS) -c -o $@ $<
$(B)/parts.a: $(parts_objects) ; $(AR) rcs $@ $^
$(B)/tool_parts.a: $(tool_parts) ; $(AR) rcs $@ $^
# tool_*_test.c links the command's parts, every other unit test the library's.
$(B)/tests/unit/tool_%_test: tests/unit/tool_%_test.c $(B)/tool_parts.a ; @mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ours) $(tool_cflags) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c %.a,$^) -lcmocka $(tool_libs)
$(B)/tests/unit/%_test: tests/unit/%_test.c $(B)/parts.a ; @mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ours) $(CFLAGS) $(test_flags_$(notdir $@)) $(LDFLAGS) -o $@ \
		$(filter %.c %.o %.a,$^) -lcmocka -lpthread -ldl $(test_libs_$(notdir $@))
$(B)/tests/unit/%.o: tests/unit/%.cc ; @mkdir -p $(@D)
	$(CXX) $(if $(SAN),-fsanitize=$(SAN)) -Wall -Wextra $(CXXFLAGS) -c -o $@ $<
$(B)/tests/unit/origin_plugin%.so: tests/unit/origin_plugin.c ; @mkdir -p $(@D)
	$(CC) -O2 -fPIC -shared $(if $(filter _2,$*),-DOTHER) -Wl,--build-id -o $@ $<
$(B)/tests/unit/origin_test $(B)/tests/unit/origin_storm_test: $(B)/tests/unit/origin_plugin_1.so $(B)/tests/unit/origin_plugin_2.so
test_libs_text_test = -ljansson
test_flags_origin_test = -rdynamic
$(B)/tests/unit/origin_unwind_test: $(B)/tests/unit/origin_cxx.o
test_flags_origin_unwind_test = -fexceptions
test_libs_origin_unwind_test = -lstdc++
# Hosts are built the way users build theirs, with symbols for the reports to name.
host_libs_corpus_tls := -lssl -lcrypto
host_libs_corpus_uring := -luring
host_cflags = $(CPPFLAGS) -std=gnu11 -D_GNU_SOURCE -Ipreload -Itests/lib -Wall -Wextra -g -O1 \
	$(if $(SAN),-fsanitize=$(SAN)) -MMD -MP $(host_flags_$(notdir $@))
$(B)/tests/fixtures/%: tests/fixtures/%.c ; @mkdir -p $(@D)
	$(CC) $(host_cflags) $(LDFLAGS) -o $@ $< -lpthread $(host_libs_$(notdir $@))
$(B)/tests/fixtures/%: tests/fixtures/%.cc ; @mkdir -p $(@D)
	$(CXX) -g -O1 $(if $(SAN),-fsanitize=$(SAN)) -Ipreload -Itests/lib -o $@ $< -lpthread $(host_libs_$(notdir $@))
$(B)/examples/%: examples/%.c ; @mkdir -p $(@D)
	$(CC) $(host_cflags) $(LDFLAGS) -o $@ $< -lpthread $(host_libs_$(notdir $@))
$(B)/tests/bench/%: tests/bench/%.c ; @mkdir -p $(@D)
	$(CC) $(host_cflags) -O2 $(LDFLAGS) -o $@ $< -lpthread -ldl $(host_libs_$(notdir $@))
$(B)/tests/bench/%_preload.so: tests/bench/%_preload.c ; @mkdir -p $(@D)
	$(CC) $(host_cflags) -O2 -fPIC -shared $(LDFLAGS) -o $@ $< -lunwind -ldl

# What building, the demo and the tests need, by Debian package; large programs apart.
deps_packages := build-essential pkg-config libunwind-dev uthash-dev libdw-dev libelf-dev \
	libjansson-dev libcmocka-dev bats perl jq curl iproute2 procps strace gdb valgrind \
	nginx-light redis-server redis-tools wrk python3 nodejs musl-tools clang \
	libssl-dev liburing-dev libseccomp-dev clang-format clang-tidy cppcheck shellcheck \
	groff-base dwz python3-pytest python3-jsonschema libxml2-utils \
	libjemalloc2 libtcmalloc-minimal4 libeatmydata1 libunwind-14
programs_packages := haproxy lighttpd memcached postgresql openssh-server default-jdk-headless \
	libpython3.11-testsuite
deps: ; tests/lib/deps $(deps_packages)
deps-programs: ; tests/lib/deps $(programs_packages)
# What is asked for together with deps comes after it.
$(if $(filter deps%,$(MAKECMDGOALS)),$(eval .NOTPARALLEL:))
demo: all $(B)/examples/http_server ; @tests/lib/demo

host_libs_server_test = -lcmocka
host_libs_clean_suite = -lcmocka
$(B)/tests/bench/capture: $(B)/parts.a
host_libs_capture = $(B)/parts.a

# Test programs, by prove; `make check tests="tests/e2e/log.bats"` runs only those.
tests   ?= $(unit_tests) $(wildcard tests/e2e/*.bats tests/e2e/*.t)
export B
check: all $(unit_tests) $(fixtures) $(benches)
	CMOCKA_MESSAGE_OUTPUT=TAP prove -e '' $(tests)
# What it costs, bare and preloaded in alternation: a table, and $(B)/bench.json.
bench: all $(benches)
	tests/bench/run --json $(B)/bench.json $(B)
	$(B)/tests/bench/capture
# Whole programs from Debian's packages, bare and preloaded: a table; an hour at most.
# `make check-programs programs="nginx redis"` runs only those.
check-programs: all ; tests/lib/check_programs $(programs)
# Long and many: minutes, hence not in check.
soak: all $(B)/tests/fixtures/soak ; prove -v -e '' tests/lib/soak
# Seconds where check spends a fraction of one; both ways where it tries one.
check-storms: ; STORM_MS=$(or $(ms),10000) $(MAKE) check tests="tests/e2e/storms.bats tests/e2e/faults.bats"
# What tells nothing under a sanitizer, or cannot run there, skips itself.
sanitized := $(patsubst %,tests/e2e/%.bats,calls hooks_are_lean witness witness_sandbox storms security)
check-asan: ; $(MAKE) SAN=address,undefined check tests='$$(unit_tests) $(sanitized)'
check-ubsan: ; $(MAKE) SAN=undefined check tests='$$(unit_tests) $(sanitized)'
check-tsan: ; $(MAKE) SAN=thread check tests='$$(unit_tests) $(patsubst %,tests/e2e/%.bats,calls storms)'
check-loop: ; for i in $$(seq $(or $(n),20)); do $(MAKE) --no-print-directory check tests="$(tests)" || exit 1; done

# The command is found on its own: see tools/library.c.
install: all
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(libdir)/sockleak $(DESTDIR)$(includedir) \
		$(DESTDIR)$(mandir)/man1 $(DESTDIR)$(completionsdir)
	install -m 755 $(B)/sockleak $(DESTDIR)$(bindir)/sockleak
	install -m 755 $(B)/libsockleak.so $(DESTDIR)$(libdir)/sockleak/libsockleak.so
	install -m 644 preload/sockleak.h $(DESTDIR)$(includedir)/sockleak.h
	sed 's#/usr/local/lib/sockleak#$(libdir)/sockleak#' tools/sockleak.1 \
		> $(DESTDIR)$(mandir)/man1/sockleak.1
	chmod 644 $(DESTDIR)$(mandir)/man1/sockleak.1
	install -m 644 tools/sockleak.bash-completion $(DESTDIR)$(completionsdir)/sockleak
uninstall:
	rm -f $(DESTDIR)$(bindir)/sockleak $(DESTDIR)$(libdir)/sockleak/libsockleak.so \
		$(DESTDIR)$(includedir)/sockleak.h $(DESTDIR)$(mandir)/man1/sockleak.1 \
		$(DESTDIR)$(completionsdir)/sockleak
	-rmdir $(DESTDIR)$(libdir)/sockleak
installcheck: all $(B)/examples/forgotten_accept
	tests/lib/installcheck $(B) out=$(out) SAN=$(SAN)
# What is compiled in follows libdir.
$(B)/libdir: FORCE ; @mkdir -p $(@D); echo '$(libdir)' | cmp -s - $@ || echo '$(libdir)' > $@
$(B)/tools/library.o: $(B)/libdir
FORCE:

# clang-tidy without its analyzer takes seconds; `make tidy` is all of it, in minutes.
tidy = echo $(lib_sources) $(tool_sources) | xargs -P2 -n8 sh -c 'clang-tidy --quiet \
	"$$@" -- -std=gnu11 -D_GNU_SOURCE -Ipreload -Itools -DLIBRARY_DIR=NULL \
	-DLIBUNWIND_FILE=NULL 2>/dev/null' - $(1)
# Hostile ledgers, for `seconds` (60); what is found belongs into tests/fixtures/ledgers.
fuzz_sources := tests/fuzz/reader_fuzz.c $(filter-out tools/sockleak.c,$(tool_sources)) \
	$(wildcard preload/text*.c)
fuzz: ; @mkdir -p $(B)/fuzz/corpus
	clang -g -O1 -std=gnu11 -D_GNU_SOURCE -Ipreload $(tool_cflags) \
		-fsanitize=fuzzer,address,undefined -o $(B)/fuzz/reader $(fuzz_sources) $(tool_libs)
	$(CC) -std=gnu11 -D_GNU_SOURCE -Ipreload -o $(B)/fuzz/seed tests/fuzz/seed.c
	$(B)/fuzz/seed $(B)/fuzz/corpus/sound
	cd $(B)/fuzz && ./reader -max_total_time=$(or $(seconds),60) -max_len=8192 corpus \
		$(CURDIR)/tests/fixtures/ledgers

lint:
	git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror
	tests/lib/includes_table
	$(call tidy,'--checks=-clang-analyzer-*')
	# Buffers of the command are filled through struct text, which cppcheck does not see.
	cppcheck --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppress='uninitvar:tools/*' --quiet \
		--library=tests/lib/cppcheck.cfg -Ipreload -Itools preload tools
	# What a test loads sets variables for it.
	shellcheck -x -e SC2034 tests/lib/*.bash examples/suites/bats/leaks.bash
	shellcheck tests/lib/deps tests/lib/demo tests/lib/includes_table tests/lib/installcheck \
		tools/sockleak.bash-completion .ci/run tests/lib/check_programs
	shellcheck -e SC1091,SC2154 tests/programs/* # what they load sets variables, too
	! groff -man -ww -z tools/sockleak.1 2>&1 | grep .
tidy: ; $(call tidy)
clean: ; rm -rf $(out)
-include $(shell find $(out) -name '*.d' 2>/dev/null)
.PHONY: all bench soak deps deps-programs demo check check-programs check-loop check-asan check-ubsan check-tsan check-storms fuzz lint tidy clean install uninstall installcheck FORCE
