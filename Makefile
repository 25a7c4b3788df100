# make            the library and the command, into build/
# make deps-build install what building alone needs (Debian, by name)
# make deps       the same, and what the demo and the tests need
# make demo       a leak found in a running server
# make deb        a Debian package, build/sockleak_VERSION_ARCHITECTURE.deb
# make install    into $(prefix), $(DESTDIR) before it; uninstall takes it away again
# make check      every test; the last lines are prove's
# tests/tests.mk has the rest: check-loop, check-asan, check-tsan, soak, bench ...
# make SAN=address,undefined or SAN=thread builds everything into build/SAN/.

.DELETE_ON_ERROR:
# These come from the command line alone.  From the environment come only the usual ones:
# CC, CXX, AR, PKG_CONFIG, the flags of each, DESTDIR, prefix and the directories below it.
$(foreach v,out SAN WERROR tests jobs n ms seed seconds release targets programs \
	$(filter test_flags_% test_libs_% host_flags_% host_libs_%,$(.VARIABLES)),\
	$(if $(findstring environment,$(origin $v)),$(eval undefine $v)))

CC      ?= cc
CXX     ?= c++
PKG_CONFIG ?= pkg-config
CFLAGS  ?= -O2 -g
CXXFLAGS ?= -O2 -g
prefix  ?= $(or $(PREFIX),/usr/local)
bindir  ?= $(prefix)/bin
libdir  ?= $(prefix)/lib
mandir  ?= $(prefix)/share/man
pkgconfigdir ?= $(libdir)/pkgconfig
includedir ?= $(prefix)/include
# Where Python, as Debian has it, looks for modules.
pythondir ?= $(prefix)/lib/$(if $(filter /usr,$(prefix)),python3,$(or $(shell /usr/bin/python3 -c \
	'import sys; print("python%d.%d" % sys.version_info[:2])' 2>/dev/null),python3))/dist-packages
docdir  ?= $(prefix)/share/doc/sockleak
completionsdir ?= $(prefix)/share/bash-completion/completions

out     ?= build
B       := $(out)$(if $(SAN),/$(SAN))

# What is found ends the program: nobody reads what a test that passes has printed.
sanitize := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -DBUILT_WITH_SANITIZER)
warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
	-Wvla -Wundef -Wwrite-strings -Wpointer-arith
ours    := -std=gnu11 -D_GNU_SOURCE -Ipreload $(warnings) $(if $(WERROR),-Werror) \
	$(sanitize) $(if $(SAN),-fno-omit-frame-pointer) -MMD -MP
# Asked when first needed: `make deps all` may install them before.
machine = $(eval machine := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine))))$(machine)
libunwind_dir = $(eval libunwind_dir := $(or $(shell $(PKG_CONFIG) --variable=libdir libunwind \
	2>/dev/null),$(error libunwind is not there (libunwind-dev): make deps-build)))$(libunwind_dir)
cflags_x86_64 := -fcf-protection=full
cflags_aarch64 := -mbranch-protection=bti -mno-outline-atomics
ldflags_x86_64 := -z shstk
lib_cflags = -fPIC -fvisibility=hidden -ftls-model=initial-exec -fexceptions \
	-fasynchronous-unwind-tables -fno-omit-frame-pointer -ffunction-sections -fdata-sections -U_FORTIFY_SOURCE \
	$(cflags_$(machine)) -DLIBUNWIND_FILE='"$(libunwind_dir)/libunwind-$(machine).so.8"'
lib_ldflags = -shared $(ldflags_$(machine)) \
	-Wl,-z,now,-z,relro,-z,noseparate-code,--sort-section=name,-T,preload/order.ld \
	$(if $(SAN),,-Wl,-z,defs)
tool_cflags := -Itools
tool_libs := -ldw -lelf -ljansson -lncursesw -ltinfo -liberty

version := $(shell sed -n 's/^\#define SL_VERSION *"\(.*\)".*/\1/p' preload/common/ledger.h)

lib_sources := $(sort $(wildcard preload/*.c preload/*/*.c))
tool_sources := $(sort $(wildcard tools/*.c tools/*/*.c))
lib_objects := $(lib_sources:%.c=$(B)/%.o)
tool_objects := $(tool_sources:%.c=$(B)/%.o) \
	$(patsubst preload/common/%.c,$(B)/tools/shared/%.o,$(sort $(wildcard preload/common/*.c)))

all: $(B)/libsockleak.so $(B)/sockleak $(B)/sockleak_node.js
$(B)/libsockleak.so: $(lib_objects) $(B)/exports preload/order.ld $(B)/flags
	$(CC) $(sanitize) $(CFLAGS) $(lib_ldflags) -Xlinker --version-script=$(B)/exports $(LDFLAGS) -o $@ $(lib_objects)
$(B)/exports: preload/common/calls.h preload/sockleak.h Makefile
	@mkdir -p $(@D)
	{ echo '{ global:'; sed -n 's/.*CALL(\([A-Za-z0-9_]*\), [A-Z]*).*/\1;/p' preload/common/calls.h; \
	sed -n 's/^SOCKLEAK_CALL([^,]*, \([a-z_]*\),.*/\1;/p' preload/sockleak.h; \
	echo 'napi_register_module_v1; node_api_module_get_api_version_v1;'; \
	echo 'local: *; };'; } > $@
$(B)/sockleak_node.js: preload/sockleak_node.js ; @mkdir -p $(@D)
	install -m 644 $< $@
$(B)/sockleak: $(tool_objects) $(B)/flags
	$(CC) $(sanitize) $(CFLAGS) $(LDFLAGS) -o $@ $(tool_objects) $(tool_libs)
$(B)/preload/%.o: preload/%.c ; @mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ours) $(lib_cflags) $(CFLAGS) -c -o $@ $<
$(B)/tools/shared/%.o: preload/common/%.c ; @mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ours) $(CFLAGS) -c -o $@ $<
$(B)/tools/%.o: tools/%.c ; @mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(tool_cflags) $(ours) $(CFLAGS) -c -o $@ $<
# What becomes a string of the command.
$(B)/tools/formats/html.o: $(addprefix tools/formats/report_page.,html css js)
# What is compiled depends on the compiler and on all flags; what the command takes for the
# library's directory is compiled into one file.
$(B)/flags: export TEXT = $(CC) $(CXX) $(shell $(CC) --version | head -n 1) $(CPPFLAGS) $(CFLAGS) \
	$(CXXFLAGS) $(LDFLAGS) $(ours) $(lib_cflags) $(lib_ldflags) $(tool_cflags)
$(B)/libdir: export TEXT = $(libdir)
$(B)/flags $(B)/libdir: FORCE ; @mkdir -p $(@D)
	@printf "%s\n" "$$TEXT" | cmp -s - $@ || printf "%s\n" "$$TEXT" > $@
$(lib_objects) $(tool_objects): $(B)/flags
$(B)/tools/run/library.o: $(B)/libdir
$(B)/tools/run/library.o: private tool_cflags += -DLIBRARY_DIR='"$(libdir)/sockleak"'
FORCE:

# What building needs, by Debian package; what the demo and the tests need; large programs.
build_packages := build-essential pkg-config libunwind-dev uthash-dev libdw-dev libelf-dev \
	libjansson-dev libncurses-dev libiberty-dev
deps_packages := $(build_packages) git libcmocka-dev bats perl jq curl iproute2 procps strace valgrind \
	nginx-light redis-server redis-tools wrk python3 nodejs musl-tools clang libclang-rt-LLVM-dev \
	libssl-dev liburing-dev clang-format clang-tidy cppcheck shellcheck cmark-gfm prometheus \
	groff-base dwz python3-pytest python3-jsonschema libxml2-utils chromium tidy \
	libjemalloc2 libtcmalloc-minimal4 libeatmydata1 libunwind-LLVM libpythonPYTHON \
	gunicorn python3-uvicorn python3-django python3-aiohttp python3-venv uwsgi-core \
	uwsgi-plugin-python3 tmux python3-yaml libgtest-dev catch2 cmake dpkg-dev lintian \
	default-jdk-headless libtomcat10-java libpostgresql-jdbc-java postgresql luajit \
	node-express node-undici node-ws ruby ruby-webrick puma rustc
programs_packages := haproxy lighttpd memcached postgresql openssh-server \
	libpythonPYTHON-testsuite apache2 erlang-base erlang-inets mariadb-server mariadb-client \
	rsync squid slapd ldap-utils
deps-build: ; tests/lib/deps $(build_packages)
deps: ; tests/lib/deps $(deps_packages)
deps-programs: ; tests/lib/deps $(programs_packages)
deps-debian: ; tests/lib/deps debootstrap
# What is asked for together with deps comes after it.
$(if $(filter deps%,$(MAKECMDGOALS)),$(eval .NOTPARALLEL:))
demo: all $(patsubst %.c,$(B)/%,$(sort $(wildcard examples/*.c))) ; @tests/lib/demo

# Pages of the manual, and pages that a test suite begins with.
pages := $(sort $(wildcard tools/*.[1-8]))
installed_pages := $(foreach page,$(pages),man$(patsubst .%,%,$(suffix $(page)))/$(notdir $(page)))
suites := $(patsubst examples/%/,%,$(sort $(wildcard examples/suites/*/)))
suite_headers := $(sort $(wildcard examples/suites/*/sockleak_*.h))
# The command is found on its own: see tools/run/library.c.
install: all
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(libdir)/sockleak $(DESTDIR)$(includedir) \
		$(DESTDIR)$(pkgconfigdir) $(DESTDIR)$(completionsdir) $(DESTDIR)$(pythondir) \
		$(sort $(dir $(installed_pages:%=$(DESTDIR)$(mandir)/%))) \
		$(suites:%=$(DESTDIR)$(docdir)/%) $(DESTDIR)$(docdir)/prometheus \
		$(DESTDIR)$(docdir)/kubernetes
	install -m 755 $(B)/sockleak $(DESTDIR)$(bindir)/sockleak
	install -m 755 $(B)/libsockleak.so $(DESTDIR)$(libdir)/sockleak/libsockleak.so
	install -m 644 preload/sockleak_node.js $(DESTDIR)$(libdir)/sockleak
	install -m 644 preload/sockleak.h $(suite_headers) $(DESTDIR)$(includedir)
	install -m 644 examples/suites/pytest/sockleak.py $(DESTDIR)$(pythondir)
	for page in $(installed_pages); do \
		sed -e 's#/usr/local/lib/sockleak#$(libdir)/sockleak#g' \
			-e '/^\.TH /s/"sockleak"/"sockleak $(version)"/' tools/$${page#*/} \
			> $(DESTDIR)$(mandir)/$$page && \
		chmod 644 $(DESTDIR)$(mandir)/$$page || exit 1; done
	sed -e 's#@VERSION@#$(version)#; s#@LIBDIR@#$(libdir)#; s#@INCLUDEDIR@#$(includedir)#' \
		tools/sockleak.pc.in > $(DESTDIR)$(pkgconfigdir)/sockleak.pc
	chmod 644 $(DESTDIR)$(pkgconfigdir)/sockleak.pc
	install -m 644 tools/sockleak.bash-completion $(DESTDIR)$(completionsdir)/sockleak
	install -m 644 examples/prometheus/*.* $(DESTDIR)$(docdir)/prometheus
	install -m 644 examples/kubernetes/*.* $(DESTDIR)$(docdir)/kubernetes
	for suite in $(suites); do install -m 644 examples/$$suite/*.* $(DESTDIR)$(docdir)/$$suite; done
uninstall:
	rm -f $(DESTDIR)$(bindir)/sockleak $(DESTDIR)$(libdir)/sockleak/libsockleak.so \
		$(DESTDIR)$(libdir)/sockleak/sockleak_node.js \
		$(DESTDIR)$(includedir)/sockleak.h $(DESTDIR)$(pythondir)/sockleak.py \
		$(addprefix $(DESTDIR)$(includedir)/,$(notdir $(suite_headers))) \
		$(installed_pages:%=$(DESTDIR)$(mandir)/%) \
		$(DESTDIR)$(pkgconfigdir)/sockleak.pc $(DESTDIR)$(completionsdir)/sockleak \
		$(patsubst examples/%,$(DESTDIR)$(docdir)/%,$(sort $(wildcard examples/suites/*/*.* examples/prometheus/*.* \
			examples/kubernetes/*.*)))
	-rmdir $(DESTDIR)$(libdir)/sockleak $(suites:%=$(DESTDIR)$(docdir)/%) \
		$(DESTDIR)$(docdir)/suites $(DESTDIR)$(docdir)/prometheus \
		$(DESTDIR)$(docdir)/kubernetes $(DESTDIR)$(docdir)
# A Debian package of it, $(out)/sockleak_VERSION_ARCHITECTURE.deb; dpkg-dev comes by deps.
deb:
	rm -rf $(out)/deb/root
	$(MAKE) install out=$(out)/deb DESTDIR=$(abspath $(out))/deb/root prefix=/usr \
		pkgconfigdir=/usr/lib/$$(dpkg-architecture -qDEB_HOST_MULTIARCH)/pkgconfig
	tools/debian/package $(out)/deb/root $(version) \
		$(out)/sockleak_$(version)_$$(dpkg --print-architecture).deb
installcheck: all $(B)/examples/forgotten_accept
	tests/lib/installcheck $(B) out=$(out) SAN=$(SAN)

# clang-tidy without its analyzer takes seconds; `make tidy` is all of it, in minutes.
tidy = echo $(lib_sources) $(tool_sources) | xargs -P2 -n8 sh -c 'clang-tidy --quiet \
	"$$@" -- -std=gnu11 -D_GNU_SOURCE -Itools -Ipreload -DLIBRARY_DIR=NULL \
	-DLIBUNWIND_FILE=NULL 2>/dev/null' - $(1)
lint:
	git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror
	tests/lib/includes_table
	tests/lib/lint_bats tests/e2e/*.bats tests/cost/*.bats tests/oracles/*.bats tests/lib/*.bash examples/suites/bats/*.ba*
	$(call tidy,'--checks=-clang-analyzer-*')
	tests/lib/function_lengths
	# Buffers of the command are filled through struct text, which cppcheck does not see.
	cppcheck --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppress='uninitvar:tools/*' --quiet \
		--library=tests/lib/cppcheck.cfg -Ipreload -Itools preload tools
	# What a test loads sets variables for it.
	shellcheck -x -e SC2034 tests/lib/*.bash tests/lib/shrink_model examples/suites/bats/leaks.bash
	shellcheck tests/lib/deps tests/lib/demo tests/lib/installcheck tools/debian/package \
		tools/sockleak.bash-completion .ci/run tests/lib/check_programs \
		tests/lib/check_debian tests/lib/meet_hosts
	node --check tools/formats/report_page.js
	node --check preload/sockleak_node.js
	shellcheck -e SC1091,SC2154 tests/programs/[!R]* # what they load sets variables, too
	! groff -man -ww -z $(pages) 2>&1 | grep .
tidy: ; $(call tidy)
# Nothing but what was made here: each build begins with its list of exports.
$(lib_objects) $(tool_objects): | $(B)/exports
clean:
	@[ ! -e $(out) ] || grep -qsx '{ global:' $(out)/exports $(out)/*/exports || \
		{ echo "$(out) is no directory of a build: it is not removed" >&2; exit 1; }
	rm -rf $(out)
include tests/tests.mk
-include $(shell find $(out) -path $(out)/debian -prune -o -name '*.d' -print 2>/dev/null)
.PHONY: all check-oracles bench deb soak deps deps-build deps-programs deps-debian demo check check-cost check-programs check-debian check-loop check-asan check-ubsan check-tsan check-storms check-model fuzz lint tidy clean install uninstall installcheck FORCE
