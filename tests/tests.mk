# The tests: what they are built from, and the targets that run them.  Included by the
# Makefile, whose variables it uses.
#
# make check           every test, and why one failed; the last lines are prove's
# make check-cost      what measures time or memory: on a machine that does nothing else
# make check-loop      the same until it fails: tests="..." n=20
# make check-asan check-ubsan check-tsan, check-storms, check-oracles, check-model, check-programs, soak, fuzz
# make check-debian    both commands of the README in a new Debian: release=trixie
# make bench           what it costs, as a table: 12 minutes on a machine that does nothing else

# What unit tests link: everything but what takes over a process.
parts_objects := $(filter-out $(B)/preload/hooks/% $(addprefix $(B)/preload/,start.o end.o fork.o) %/memory.o,$(lib_objects))
tool_parts := $(filter-out %/sockleak.o,$(tool_objects))
unit_tests := $(patsubst %.c,$(B)/%,$(sort $(wildcard tests/unit/*_test.c)))
fixtures := $(patsubst %.c,$(B)/%,$(filter-out %_preload.c,$(sort $(wildcard tests/fixtures/*.c examples/*.c examples/suites/*/*.c)))) \
	$(patsubst %.c,$(B)/%.so,$(sort $(wildcard tests/fixtures/*_preload.c))) \
	$(patsubst %.cc,$(B)/%,$(sort $(wildcard tests/fixtures/*.cc)))
benches := $(patsubst %.c,$(B)/%,$(filter-out %_preload.c,$(sort $(wildcard tests/bench/*.c)))) \
	$(patsubst %.c,$(B)/%.so,$(sort $(wildcard tests/bench/*_preload.c)))

$(unit_tests) $(fixtures) $(benches): $(B)/flags
$(B)/parts.a: $(parts_objects) ; rm -f $@ && $(AR) rcs $@ $^
$(B)/tool_parts.a: $(tool_parts) ; rm -f $@ && $(AR) rcs $@ $^
# tool_*_test.c links the command's parts, every other unit test the library's.
$(B)/tests/unit/tool_%_test: tests/unit/tool_%_test.c $(B)/tool_parts.a ; @mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(tool_cflags) $(ours) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c %.a,$^) -lcmocka $(tool_libs)
$(B)/tests/unit/%_test: tests/unit/%_test.c $(B)/parts.a ; @mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ours) $(CFLAGS) $(test_flags_$(notdir $@)) $(LDFLAGS) -o $@ \
		$(filter %.c %.o %.a,$^) -lcmocka -lpthread -ldl $(test_libs_$(notdir $@))
$(B)/tests/unit/%.o: tests/unit/%.cc ; @mkdir -p $(@D)
	$(CXX) $(sanitize) -Wall -Wextra $(CXXFLAGS) -c -o $@ $<
$(B)/tests/unit/origin_plugin%.so: tests/unit/origin_plugin.c ; @mkdir -p $(@D)
	$(CC) -O2 -fPIC -shared $(if $(filter _2,$*),-DOTHER) -Wl,--build-id -o $@ $<
$(B)/tests/unit/origin_test $(B)/tests/unit/origin_storm_test: $(B)/tests/unit/origin_plugin_1.so $(B)/tests/unit/origin_plugin_2.so
test_libs_text_test = -ljansson
test_flags_header_test = -Wl,--wrap=dlsym
test_flags_unwinder_room_test = -Wl,--wrap=dlsym
test_flags_origin_test = -rdynamic
test_flags_ruby_walk_test = -rdynamic
$(B)/tests/unit/origin_unwind_test: $(B)/tests/unit/origin_cxx.o
test_flags_origin_unwind_test = -fexceptions
test_libs_origin_unwind_test = -lstdc++
# Hosts are built the way users build theirs, with symbols for the reports to name.
host_libs_corpus_tls := -lssl -lcrypto
host_libs_corpus_uring := -luring
host_libs_guest_cancels := -rdynamic
# Its constants have the same addresses after an exec.
host_flags_guest_model := -fno-pie -no-pie
host_flags_host_memory := -Wl,-z,now
host_flags_host_names := -rdynamic
host_flags_host_stacks := -Wl,-z,now
host_cflags = $(CPPFLAGS) -std=gnu11 -D_GNU_SOURCE -Ipreload -Itests/lib -Wall -Wextra -g -O1 \
	$(sanitize) -MMD -MP $(host_flags_$(notdir $@))
$(B)/tests/fixtures/%: tests/fixtures/%.c ; @mkdir -p $(@D)
	$(CC) $(host_cflags) $(LDFLAGS) -o $@ $< -lpthread $(host_libs_$(notdir $@))
$(B)/tests/fixtures/%: tests/fixtures/%.cc ; @mkdir -p $(@D)
	$(CXX) -g -O1 $(sanitize) -MMD -MP -Ipreload -Itests/lib -o $@ $< -lpthread $(host_libs_$(notdir $@))
# Has a part of the library in it, and none of its hooks.
$(B)/tests/fixtures/%_preload.so: tests/fixtures/%_preload.c $(filter $(addprefix \
	$(B)/preload/,languages/% base/% common/%),$(lib_objects)) ; @mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ours) $(lib_cflags) $(CFLAGS) -shared $(LDFLAGS) -o $@ $(filter %.c %.o,$^) -ldl
$(B)/examples/%: examples/%.c ; @mkdir -p $(@D)
	$(CC) $(host_cflags) $(LDFLAGS) -o $@ $< -lpthread $(host_libs_$(notdir $@))
$(B)/tests/bench/%: tests/bench/%.c ; @mkdir -p $(@D)
	$(CC) $(host_cflags) -O2 $(LDFLAGS) -o $@ $< -lpthread -ldl $(host_libs_$(notdir $@))
$(B)/tests/bench/%_preload.so: tests/bench/%_preload.c ; @mkdir -p $(@D)
	$(CC) $(host_cflags) -O2 -fPIC -shared $(LDFLAGS) -o $@ $< -lunwind -ldl

host_libs_server_test = -lcmocka
host_libs_clean_suite = -lcmocka
$(B)/tests/bench/capture: $(B)/parts.a
host_libs_capture = $(B)/parts.a

# Test programs, by prove; `make check tests="tests/e2e/log.bats"` runs only those.  Most
# of them wait most of the time: `jobs` run at once, those that take longest first.  Last,
# one after the other, come those that count what the whole machine does or build anew what
# the others use, and all that is not named here (tests/cost, tests/lib/soak).
jobs    ?= $(if $(SAN),1,3)
e2e     := $(sort $(wildcard tests/e2e/*.bats tests/e2e/*.t))
longest := tests/e2e/corpus.t $(patsubst %,tests/e2e/%.bats,scan closed_late faults formats python_frames model peers list)
alone   := $(patsubst %,tests/e2e/%.bats,budget build hooks_are_lean install lifecycle)
tests   ?= $(longest) $(unit_tests) $(filter-out $(longest),$(e2e))
comma   := ,
space   := $(subst ,, )
# As prove names files in a rule: a comma is of the build directory of a sanitizer.
together = {$(subst $(space),$(comma),$(subst $(comma),?,$(filter-out $(alone),$(unit_tests) $(e2e))))}
export B
check: export STORM_MS = $(ms)
check: export MODEL_SEED = $(seed)
check: all $(unit_tests) $(fixtures) $(benches)
	CMOCKA_MESSAGE_OUTPUT=TAP prove --failures --comments $(if $(SAN),--directives) --timer \
		-j $(jobs) --rules 'par=$(together)' -e '' $(tests)
# What it costs, bare and preloaded in turn: a table, and $(B)/bench.json.  Fails where a
# bound is exceeded, or where noise hid whether it is.
bench: all $(benches)
	$(B)/tests/bench/capture
	tests/bench/run --json $(B)/bench.json $(B)
# Whole programs from Debian's packages, bare and preloaded: a table; an hour at most.
# `make check-programs programs="nginx redis"` runs only those.
check-programs: all ; tests/lib/check_programs $(programs)
# Long and many: minutes, hence not in check.
soak: all $(B)/tests/fixtures/soak ; prove -v -e '' tests/lib/soak
# Seconds where check spends a fraction of one; both ways where it tries one.
check-storms: ; $(MAKE) check ms=$(or $(ms),10000) tests="tests/e2e/storms.bats tests/e2e/faults.bats"
# Other random hosts than check has, `n` times (1); what is printed runs them again.
check-model: ; @for i in $$(seq $(or $(n),1)); do \
	seed=$(or $(seed),$$(shuf -i 1-900 -n 1)000); echo "make check-model seed=$$seed"; \
	$(MAKE) --no-print-directory check seed=$$seed tests=tests/e2e/model.bats || exit 1; done
# All of it: what tells nothing in such a build skips itself, and each skip is shown with
# its reason.  Of the thread sanitizer only where threads meet: it takes ten times as long.
threaded := $(patsubst %,tests/e2e/%.bats,calls hooks_are_lean ledger log origin processes regressions \
	storms uses)
check-asan: ; $(MAKE) --no-print-directory SAN=address,undefined check
check-ubsan: ; $(MAKE) --no-print-directory SAN=undefined check
check-tsan: ; $(MAKE) --no-print-directory SAN=thread check tests='$$(unit_tests) $(threaded)'
check-cost: ; $(MAKE) --no-print-directory check tests='$(sort $(wildcard tests/cost/*.bats))'
check-oracles: ; $(MAKE) --no-print-directory check tests='$(sort $(wildcard tests/oracles/*.bats))'
check-loop: ; for i in $$(seq $(or $(n),20)); do $(MAKE) --no-print-directory check tests="$(tests)" || exit 1; done

# Fifteen minutes; debootstrap comes by deps-debian.
check-debian: ; tests/lib/check_debian $(or $(release),trixie) $(targets)

# Hostile ledgers, for `seconds` (60); what is found belongs into tests/fixtures/ledgers.
fuzz_sources := tests/fuzz/reader_fuzz.c $(filter-out tools/sockleak.c,$(tool_sources)) \
	$(sort $(wildcard preload/common/*.c))
fuzz: ; @mkdir -p $(B)/fuzz/corpus
	clang -g -O1 -std=gnu11 -D_GNU_SOURCE -Ipreload $(tool_cflags) -DLIBRARY_DIR=NULL \
		-fsanitize=fuzzer,address,undefined -o $(B)/fuzz/reader $(fuzz_sources) $(tool_libs)
	$(CC) -std=gnu11 -D_GNU_SOURCE -Ipreload -o $(B)/fuzz/seed tests/fuzz/seed.c
	$(B)/fuzz/seed $(B)/fuzz/corpus/sound
	cd $(B)/fuzz && ./reader -max_total_time=$(or $(seconds),60) -max_len=8192 corpus \
		$(CURDIR)/tests/fixtures/ledgers

