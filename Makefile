# make            the library and the command, into build/
# make deps       install what building, the demo and the tests need (Debian, by name)
# make demo       a leak found in a running server
# make install    into $(prefix), $(DESTDIR) before it; uninstall takes it away again
# make check      every test; the last lines are prove's
# tests/tests.mk has the rest: check-loop, check-asan, check-tsan, soak, bench ...
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

# What is found ends the program: nobody reads what a test that passes has printed.
sanitize := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -DBUILT_WITH_SANITIZER)
warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
	-Wvla -Wundef -Wwrite-strings -Wpointer-arith
ours    := -std=gnu11 -D_GNU_SOURCE -Ipreload $(warnings) $(if $(WERROR),-Werror) \
	$(sanitize) $(if $(SAN),-fno-omit-frame-pointer) -MMD -MP
# Asked when first needed: `make deps all` may install it before.
libunwind_dir = $(eval libunwind_dir := $(or $(shell pkg-config --variable=libdir libunwind \
	2>/dev/null),$(error libunwind is not there (libunwind-dev): make deps)))$(libunwind_dir)
lib_cflags = -fPIC -fvisibility=hidden -ftls-model=initial-exec -fexceptions \
	-fasynchronous-unwind-tables -fno-omit-frame-pointer -U_FORTIFY_SOURCE \
	$(if $(filter x86_64,$(shell uname -m)),-fcf-protection=full,-mbranch-protection=bti -mno-outline-atomics) \
	-DLIBUNWIND_FILE='"$(libunwind_dir)/libunwind-$(shell uname -m).so.8"'
lib_ldflags := -shared $(if $(filter x86_64,$(shell uname -m)),-z shstk) -Wl,-z,now,-z,relro,-z,noseparate-code,--sort-section=name,-T,preload/order.ld \
	-Xlinker --version-script=$(B)/exports \
	$(if $(SAN),,-Wl,-z,defs)
tool_cflags := -Itools -DLIBRARY_DIR='"$(libdir)/sockleak"'
tool_libs := -ldw -lelf -ljansson -ldl

lib_sources := $(wildcard preload/*.c)
tool_sources := $(wildcard tools/*.c tools/formats/*.c)
lib_objects := $(lib_sources:%.c=$(B)/%.o)
tool_objects := $(tool_sources:%.c=$(B)/%.o) \
	$(patsubst preload/%.c,$(B)/tools/shared/%.o,$(wildcard preload/text*.c))

all: $(B)/libsockleak.so $(B)/sockleak
$(B)/libsockleak.so: $(lib_objects) $(B)/exports preload/order.ld
	$(CC) $(sanitize) $(CFLAGS) $(lib_ldflags) $(LDFLAGS) -o $@ $(lib_objects)
$(B)/exports: preload/calls.h preload/sockleak.h
	@mkdir -p $(@D)
	{ echo '{ global:'; sed -n 's/.*CALL(\([A-Za-z0-9_]*\), [A-Z]*).*/\1;/p' preload/calls.h; \
	sed -n 's/^SOCKLEAK_CALL([^,]*, \([a-z_]*\),.*/\1;/p' preload/sockleak.h; \
	echo 'local: *; };'; } > $@
$(B)/sockleak: $(tool_objects)
	$(CC) $(sanitize) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(tool_libs)
$(B)/preload/%.o: preload/%.c ; @mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ours) $(lib_cflags) $(CFLAGS) -c -o $@ $<
$(B)/tools/shared/%.o: preload/%.c ; @mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ours) $(CFLAGS) -c -o $@ $<
$(B)/tools/%.o: tools/%.c ; @mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ours) $(tool_cflags) $(CFLAGS) -c -o $@ $<

# What building, the demo and the tests need, by Debian package; large programs apart.
deps_packages := build-essential git pkg-config libunwind-dev uthash-dev libdw-dev libelf-dev \
	libjansson-dev libcmocka-dev bats perl jq curl iproute2 procps strace valgrind \
	nginx-light redis-server redis-tools wrk python3 nodejs musl-tools clang libclang-rt-14-dev \
	libssl-dev liburing-dev clang-format clang-tidy cppcheck shellcheck \
	groff-base dwz python3-pytest python3-jsonschema libxml2-utils \
	libjemalloc2 libtcmalloc-minimal4 libeatmydata1 libunwind-14
programs_packages := haproxy lighttpd memcached postgresql openssh-server default-jdk-headless \
	libpython3.11-testsuite apache2 erlang-base erlang-inets mariadb-server mariadb-client \
	rsync squid slapd ldap-utils
deps: ; tests/lib/deps $(deps_packages)
deps-programs: ; tests/lib/deps $(programs_packages)
# What is asked for together with deps comes after it.
$(if $(filter deps%,$(MAKECMDGOALS)),$(eval .NOTPARALLEL:))
demo: all $(patsubst %.c,$(B)/%,$(wildcard examples/*.c)) ; @tests/lib/demo

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
include tests/tests.mk
-include $(shell find $(out) -name '*.d' 2>/dev/null)
.PHONY: all bench soak deps deps-programs demo check check-programs check-loop check-asan check-ubsan check-tsan check-storms fuzz lint tidy clean install uninstall installcheck FORCE
