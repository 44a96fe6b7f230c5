# Atalaia: one non-recursive Makefile. `make help` lists what it can do.
# Objects go to build/$(MODE)/; MODE is debug (default for tests), release, asan or tsan. New .c files are picked up by folder, nothing to register here.

MODE     ?= release
CC       ?= cc
PREFIX   ?= /usr
LIBEXEC  ?= $(PREFIX)/lib/atalaia
PYTHON   ?= /usr/bin/python3
B        := build/$(MODE)
VERSION  := 0.1.0

PKGS     := libuv libcurl libcjson sqlite3 libzstd libarchive inih libseccomp openssl zlib
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
SODIUM     := $(shell pkg-config --exists libsodium 2>/dev/null && echo yes)
ifeq ($(SODIUM),yes)
FEATURES += -DHAVE_SODIUM
PKG_LIBS += -lsodium
endif

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla -Wformat=2 -Wundef -Wno-unused-parameter
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
MODE_debug   := -O1 -g
MODE_release := -O2 -g -DNDEBUG -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
MODE_asan    := -O1 -g1 -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
MODE_tsan    := -O1 -g1 -fsanitize=thread
ifeq ($(MODE_$(MODE)),)
$(error MODE=$(MODE) is not known: use debug, release, asan or tsan)
endif

CFLAGS   ?=
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -Icommon $(PKG_CFLAGS) $(FEATURES) $(WARN) $(HARDEN) $(MODE_$(MODE)) -DATALAIA_VERSION='"$(VERSION)"' -MMD -MP $(CFLAGS)
LDFLAGS  ?=
ALL_LDFLAGS := $(MODE_$(MODE)) -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)
LIBS     := $(PKG_LIBS) -lmbedtls -lmbedx509 -lmbedcrypto -lhttp_parser -lpthread -ldl -lm

# V=1 prints whole command lines.
ifeq ($(V),1)
say =
else
say = @echo "  $(1) $(2)";
endif
JOBS := $(shell nproc 2>/dev/null || echo 2)

obj = $(patsubst %.c,$(B)/%.o,$(1))

# common/: one archive for everybody.
COMMON_SRC := $(wildcard common/*/*.c)
COMMON     := $(B)/libcommon.a

# A part: folder, program name. Its objects but main.o also form an archive, so that tests can link them.
PARTS := agent agent/fetch agent/scan roles/update-agent roles/console roles/publisher roles/operator
PROG_agent              := atalaia-agent
PROG_agent/fetch        := atalaia-fetch
PROG_agent/scan         := atalaia-scan
PROG_roles/update-agent := atalaia-update-agent
PROG_roles/console      := atalaia-console
PROG_roles/publisher    := atalaia-repo
PROG_roles/operator     := atalaia

PARTS_HERE := $(foreach p,$(PARTS),$(if $(wildcard $(p)/main.c),$(p)))
PROGRAMS   := $(foreach p,$(PARTS_HERE),$(B)/$(PROG_$(p))) $(if $(wildcard tests/tuf-client/main.c),$(B)/tuf-client)

.PHONY: all help flags demo deps deps-test test tests unit golden corpus integration check style layers static analyze hardening install clean bench bench-mirror bench-console bench-web bench-day fuzz torture idle lab load other-mbedtls sanitize sanitize-ci sanitize-ci-asan sanitize-ci-tsan sanitize-programs deb deb-test rpm web
all: $(COMMON) $(PROGRAMS)

help:
	@echo 'make            build every program into build/$$MODE (MODE=debug|release|asan|tsan, now: $(MODE))'
	@echo 'make web        the pages of the web console into build/web (node and npm)'
	@echo 'make demo       install what is missing, build, run server + branch + workstation here and show an update and a detection'
	@echo 'make test       install what is missing, build, run unit, golden, corpus and integration tests'
	@echo 'make other-mbedtls   build and test against mbedTLS 3.6 of Debian 13'
	@echo 'make check      style, layers, static analysis (cppcheck, clang-tidy, gcc -fanalyzer), hardening of the programs'
	@echo 'make analyze    the same and clang'\''s path-sensitive analysis, minutes'
	@echo 'make sanitize   every test under ASan+UBSan and under TSan, an hour (sanitize-ci: a sample, minutes)'
	@echo 'make fuzz       fuzz every parser with libFuzzer, FUZZ_SECONDS each (default 60)'
	@echo 'make torture    kill, failing disk and memory, power cuts at sampled points (STEP=1: at each; ONLY=word)'
	@echo 'make idle       an agent'\''s idle hours in minutes under valgrind: no growth of heap or descriptors (CYCLES=60)'
	@echo 'make bench      every benchmark beside real peers, as build/bench/page.md (root; BENCH_ARGS=--quick: minutes)'
	@echo 'make bench-mirror   the update agent beside vsftpd, pure-ftpd, proftpd, pyftpdlib and nginx (root)'
	@echo 'make bench-day  what a day costs the line of a branch, as a share of a 200 MB set'
	@echo 'make bench-console  a thousand agents on one console (BENCH_ARGS=--agents N)'
	@echo 'make bench-web  ten thousand computers and fifty browsers on the web console'
	@echo 'make bench-delta  deltas beside diff, zstd, xdelta3, bsdiff, zsync, casync (BENCH_ARGS=--quick)'
	@echo 'make load       300 FTP and 300 HTTP readers and 5,000 long-polls for a minute while five versions are published'
	@echo 'make lab        three hosts in network namespaces on a bad line (root)'
	@echo 'make install    DESTDIR= PREFIX=/usr'
	@echo 'make deb        Debian packages into build/deb, checked by lintian'
	@echo 'make deb-test   first steps, upgrade and purge on three Debian roots in network namespaces (root, minutes)'
	@echo 'make rpm        RPM packages into build/rpm, content checked'
	@echo 'make clean      remove build/'

# What a test compiles with.
flags:
	@printf "%s\n" $(subst ",\",$(ALL_CFLAGS))

$(COMMON): $(call obj,$(COMMON_SRC))
	@mkdir -p $(@D)
	@rm -f $@
	@ar rcs $@ $^

define PART_RULES
$(B)/$(1)/lib.a: $$(call obj,$$(filter-out $(1)/main.c,$$(wildcard $(1)/*.c)))
	@mkdir -p $$(@D)
	@rm -f $$@
	@ar rcs $$@ $$^
$(B)/$$(PROG_$(1)): $(B)/$(1)/main.o $(B)/$(1)/lib.a $(COMMON)
	$$(call say,LD,$$@)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(LIBS)
endef
$(foreach p,$(PARTS),$(eval $(call PART_RULES,$(p))))

$(B)/tuf-client: $(call obj,$(wildcard tests/tuf-client/*.c)) $(COMMON)
	$(call say,LD,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# Tests: tests/unit/PART/test_x.c links PART's archive and may include its headers; PART is common, agent, fetch, scan, update-agent, ...
TEST_PART_common       := common
TEST_PART_agent        := agent
TEST_PART_fetch        := agent/fetch
TEST_PART_scan         := agent/scan
TEST_PART_update-agent := roles/update-agent
TEST_PART_console      := roles/console
TEST_PART_publisher    := roles/publisher
TEST_PART_operator     := roles/operator
part_lib = $(if $(filter common,$(1)),,$(B)/$(TEST_PART_$(1))/lib.a)
UNIT_SRC   := $(wildcard tests/unit/*/test_*.c)
UNIT_BIN   := $(patsubst tests/%.c,$(B)/tests/%,$(UNIT_SRC))
FUZZ_SRC   := $(wildcard tests/fuzz/*/fuzz_*.c)
REPLAY_BIN := $(patsubst tests/%.c,$(B)/tests/%,$(FUZZ_SRC))
TESTLIB    := $(call obj,$(wildcard tests/lib/*.c))

define TEST_RULES
$(B)/tests/unit/$(1)/%.o: ALL_CFLAGS += -Itests/lib $(if $(filter common,$(1)),,-I$(TEST_PART_$(1)))
$(B)/tests/fuzz/$(1)/%.o: ALL_CFLAGS += -Itests/lib $(if $(filter common,$(1)),,-I$(TEST_PART_$(1)))
$(B)/tests/unit/$(1)/test_%: $(B)/tests/unit/$(1)/test_%.o $(TESTLIB) $(call part_lib,$(1)) $(COMMON)
	$$(call say,LD,$$@)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(LIBS) -lcmocka
$(B)/tests/fuzz/$(1)/fuzz_%: $(B)/tests/fuzz/$(1)/fuzz_%.o $(B)/tests/fuzz/replay.o $(TESTLIB) $(call part_lib,$(1)) $(COMMON)
	$$(call say,LD,$$@)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(LIBS)
endef
$(foreach p,common agent fetch scan update-agent console publisher operator,$(eval $(call TEST_RULES,$(p))))
# This one runs the real program.
$(B)/tests/unit/agent/test_scanner: | $(B)/atalaia-scan
$(B)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# Tools of make lab and make torture: one file each.
$(B)/tests/torture/%: tests/torture/%.c $(COMMON)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(COMMON) $(LIBS)
$(B)/tests/torture/crashdisk: tests/torture/crashdisk.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(shell pkg-config --cflags fuse3 2>/dev/null) $(ALL_LDFLAGS) -o $@ $< -lfuse3
$(B)/tests/torture/%.so: tests/torture/%.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -O1 -shared -fPIC -o $@ $< -ldl

.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)

# The pages of the web console. No program needs them to be built; nothing else needs node.
WEB     := roles/console/web
WEB_SRC := $(shell find $(WEB)/src -type f 2>/dev/null) $(addprefix $(WEB)/,index.html build.mjs texts.mjs)
web: $(WEB)/node_modules/.package-lock.json build/web/index.html
$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json
	@packaging/deps.sh web
	$(call say,NPM,$(WEB))cd $(WEB) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
build/web/index.html: $(WEB)/node_modules/.package-lock.json $(WEB_SRC)
	$(call say,WEB,build/web)node $(WEB)/build.mjs $(CURDIR)/build/web

deps:
	@packaging/deps.sh build
deps-test:
	@packaging/deps.sh test
	@packaging/promtool.sh

tests: $(UNIT_BIN) $(REPLAY_BIN)
unit: $(UNIT_BIN)
	@tests/lib/run-units.sh $(B) $(UNIT_BIN)

corpus: $(REPLAY_BIN)
	@tests/lib/run-corpora.sh $(B) $(REPLAY_BIN)

# Files run side by side, for they wait more than they work; PARALLEL=0: one after the other.
PARALLEL ?= 2
integration: all
	ATALAIA_BIN=$(CURDIR)/$(B) $(PYTHON) -m pytest -q -p no:cacheprovider -n $(PARALLEL) --dist loadfile $(PYTEST_ARGS) \
		tests/golden tests/integration

# Two makes, so that packages that `deps` installs are seen by pkg-config.
test: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) MODE=release all
	@$(MAKE) --no-print-directory web
	@$(MAKE) --no-print-directory -j$(JOBS) MODE=debug all tests
	@$(MAKE) --no-print-directory MODE=debug unit corpus
	@$(MAKE) --no-print-directory MODE=release integration

demo: deps
	@packaging/deps.sh demo
	@$(MAKE) --no-print-directory web || echo 'demo: the web console has no pages, npm did not answer'
	@$(MAKE) --no-print-directory -j$(JOBS) MODE=release all
	@$(PYTHON) tests/demo/demo.py build/release

check: style layers static hardening
style:
	@tests/lib/style.sh
layers:
	@tests/lib/layers.sh
hardening:
	@$(MAKE) --no-print-directory -j$(JOBS) MODE=release all
	@tests/lib/hardening.sh build/release
static:
	@packaging/deps.sh static
	@tests/lib/static.sh
analyze:
	@packaging/deps.sh static
	@tests/lib/static.sh analyze

# Confinement closes ptrace, which the leak checker needs: programs run without it, unit tests with it.
# faketime and the shims that make memory and disks fail must be the first library, as must ASan, and what bounds
# memory measures the sanitizer's: left to the other modes.
# What a program says on stderr when a sanitizer finds something fails its test (tests/lib/world.py).
SANITIZE_ALL  := tests/golden tests/integration
SANITIZE_SKIP := clock or week or frozen or expired_local or expiry_of_delegated or short_of_memory or runs_out or survives \
	or answered_while or cold_file or lies_about_flushing or that_does_not_fit
# What CI has time for, by risk: what strangers reach, what runs threads, what carries promises. Left to
# `make sanitize`: cases of seconds that only repeat the others.
SANITIZE_CI   := tests/golden $(addprefix tests/integration/test_,mirror_http.py mirror_version.py mirror_raw.py \
	fetch_set.py agent_world.py events_agent.py handles.py)
SANITIZE_LONG := clock or week or flood or sixty_kills or cutting or backlog or thousand or deadlines or stopped_reader \
	or subnet or heals or rotten or delta_modes or publication_wakes or flipped_bit_in or classes_of_a_policy
# libuv closes sockets where TSan does not see it.
TSAN_ENV = LD_PRELOAD=$(CURDIR)/build/tsan/tsan-close.so TSAN_OPTIONS=halt_on_error=1
build/tsan/tsan-close.so: tests/lib/preload/tsan_close.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -O1 -shared -fPIC -o $@ $<

sanitize: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) MODE=asan all tests
	@$(MAKE) --no-print-directory MODE=asan unit corpus
	@ASAN_OPTIONS=detect_leaks=0 $(MAKE) --no-print-directory MODE=asan sanitize-programs
	@$(MAKE) --no-print-directory -j$(JOBS) MODE=tsan all tests build/tsan/tsan-close.so
	@$(TSAN_ENV) $(MAKE) --no-print-directory MODE=tsan unit corpus
	@$(TSAN_ENV) $(MAKE) --no-print-directory MODE=tsan sanitize-programs
# One core each.
sanitize-ci: deps-test
	@$(MAKE) --no-print-directory -j2 -Otarget CC="$(SANITIZE_CC)" sanitize-ci-asan sanitize-ci-tsan
SANITIZE_CC := $(if $(shell command -v ccache 2>/dev/null),ccache )$(CC)
sanitize-ci-asan:
	@$(MAKE) --no-print-directory MODE=asan all tests
	@$(MAKE) --no-print-directory MODE=asan unit corpus
	@ASAN_OPTIONS=detect_leaks=0 $(MAKE) --no-print-directory MODE=asan sanitize-programs \
		SANITIZE_ALL='$(SANITIZE_CI)' SANITIZE_SKIP='$(SANITIZE_LONG)'
sanitize-ci-tsan:
	@$(MAKE) --no-print-directory MODE=tsan all tests build/tsan/tsan-close.so
	@$(TSAN_ENV) $(MAKE) --no-print-directory MODE=tsan sanitize-programs \
		SANITIZE_ALL='$(SANITIZE_CI)' SANITIZE_SKIP='$(SANITIZE_LONG)'
	@$(TSAN_ENV) $(MAKE) --no-print-directory MODE=tsan unit corpus
sanitize-programs:
	ATALAIA_BIN=$(CURDIR)/$(B) $(PYTHON) -m pytest -q -p no:cacheprovider -k 'not ($(SANITIZE_SKIP))' $(PYTEST_ARGS) $(SANITIZE_ALL)

FUZZ_SECONDS ?= 60
fuzz:
	@packaging/deps.sh fuzz
	@tests/fuzz/run.sh $(FUZZ_SECONDS) $(FUZZ)

torture:
	@tests/torture/run.sh
# An agent's idle hours under valgrind: no growth, nothing lost.
CYCLES ?= 60
idle:
	@packaging/deps.sh torture
	@$(MAKE) --no-print-directory -j$(JOBS) MODE=debug all
	@$(PYTHON) tests/torture/idle.py build/debug $(CYCLES)
# 200 MB x 50 clients for each server: about five minutes. BENCH_ARGS=--quick for a glance, --out FILE.md to keep it.
bench-mirror: deps
	@$(MAKE) --no-print-directory MODE=release build/release/atalaia-update-agent
	@$(PYTHON) tests/bench/mirror.py build/release/atalaia-update-agent $(BENCH_ARGS)
bench:
	@tests/bench/run.sh $(BENCH_ARGS)
bench-web: deps
	@$(MAKE) --no-print-directory MODE=release build/release/atalaia-console
	@ATALAIA_BIN=build/release $(PYTHON) tests/bench/web_load.py $(BENCH_ARGS)
bench-console: deps
	@$(MAKE) --no-print-directory MODE=release build/release/atalaia-console
	@ATALAIA_BIN=build/release $(PYTHON) tests/bench/console_fleet.py $(BENCH_ARGS)
bench-day: deps
	@$(MAKE) --no-print-directory MODE=release all
	@$(PYTHON) tests/bench/mirror_day.py build/release $(BENCH_ARGS)
bench-delta: $(B)/$(PROG_roles/publisher)
	@packaging/deps.sh bench
	@$(PYTHON) tests/bench/delta.py $(B) $(BENCH_ARGS)
lab:
	@tests/torture/lab.sh
load: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) MODE=release all build/release/tests/torture/loadcrowd
	@$(PYTHON) tests/torture/load.py build/release

# Against mbedTLS 3.6 of Debian 13 (needs its mirror; nothing is installed).
other-mbedtls:
	@tests/lib/other-mbedtls.sh

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(LIBEXEC) $(DESTDIR)/etc/atalaia
	for p in atalaia atalaia-repo; do install -m 755 $(B)/$$p $(DESTDIR)$(PREFIX)/bin/; done
	for p in atalaia-agent atalaia-console atalaia-update-agent; do install -m 755 $(B)/$$p $(DESTDIR)$(PREFIX)/sbin/; done
	for p in atalaia-fetch atalaia-scan; do install -m 755 $(B)/$$p $(DESTDIR)$(LIBEXEC)/; done
	packaging/install-data.sh '$(DESTDIR)' '$(PREFIX)'
	[ ! -f build/web/index.html ] || packaging/install-web.sh build/web '$(DESTDIR)$(PREFIX)/share/atalaia/web'

deb:
	@packaging/deps.sh deb
	@packaging/deb.sh

deb-test:
	@packaging/deps.sh deb-test
	@packaging/deb-test.sh
rpm:
	@packaging/deps.sh rpm
	@packaging/rpm.sh

clean:
	rm -rf build $(WEB)/node_modules
