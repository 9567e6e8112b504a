# chillbox. `make help` lists the targets.
#
# On a fresh machine (Debian 12 or 13, Alpine; as root, or with sudo or doas) `make demo` and `make test` install what they need.

SHELL := /bin/sh
BUILD ?= build
# All processors, unless the caller says otherwise (-jN, or MAKEFLAGS). `make clean demo` goes in order.
ifeq ($(MAKELEVEL)$(findstring -j,$(shell printf '%s' "$$MAKEFLAGS"))$(filter clean,$(MAKECMDGOALS)),0)
MAKEFLAGS += -j$(shell nproc)
endif
VERSION := 0.1.0
DESTDIR ?=

CXX ?= g++
# WERROR= for a compiler that warns of more than those of Debian 12 and 13.
WERROR ?= -Werror
# CCACHE=ccache, as a variable of the environment or of make: worth it where the cache is warm, since it rules out the precompiled headers.
CCACHE ?=
SANITIZE ?=
# -O2 takes a third longer to compile: it is for the rooms that handle many bytes.
OPT ?= -O1 -g1
OPT_HOT := $(if $(filter file,$(origin OPT)),-O2)
HOT := crypto artifact edge
# Tests need not run fast, they need to compile fast.
OPT_TESTS := -O0 -g1 -U_FORTIFY_SOURCE
# -Wno-restrict: g++ 12 sees overlaps in std::string that cannot be (its bug 105329).
# -Wno-stringop-overread: it believes that a string may have 2^64 - 1 bytes where it inlines find() and ==.
# -Wno-subobject-linkage: it takes what a source has for itself alone for a header's, because the source is included.
# A release's archive brings the libraries that are headers only and that not every distribution has.
CPPFLAGS += $(if $(wildcard vendor/include),-isystem vendor/include) -Iagent -D_GNU_SOURCE -DCHILLBOX_VERSION='"$(VERSION)"'
CXXFLAGS += -std=c++23 $(OPT) -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2 -ffunction-sections -fdata-sections \
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-missing-field-initializers -Wno-restrict -Wno-stringop-overread -Wno-subobject-linkage $(WERROR) $(if $(SANITIZE),-fsanitize=$(SANITIZE) -DCHILLBOX_SANITIZED -U_FORTIFY_SOURCE)
# musl gives a thread 128 KiB unless the program says otherwise; glibc ignores this.
STACK := 1048576
LDFLAGS += -pie -Wl,--gc-sections -Wl,-z,relro,-z,now -Wl,--as-needed -Wl,-z,stack-size=$(STACK) $(if $(SANITIZE),-fsanitize=$(SANITIZE))
COMPILE = $(CCACHE) $(CXX) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP

# g++, and clang for static programs, compiles the standard headers once, and those of the tests once more: all that uses such a header must have its very flags. With
# ccache it does not, because a precompiled header is another one after each clean build, and nothing would be found in the cache.
PRECOMPILES := $(if $(CCACHE)$(SANITIZE),,$(filter g++ g++-% %-musl-c++,$(notdir $(firstword $(CXX)))))
FLAGS_ID := $(if $(PRECOMPILES),$(firstword $(shell echo '$(CXX) $(CXXFLAGS) $(OPT_TESTS)' | cksum)))
STD := $(if $(PRECOMPILES),$(BUILD)/std/$(FLAGS_ID)/agent.hpp.gch)
STD_TESTS := $(if $(PRECOMPILES),$(BUILD)/std/$(FLAGS_ID)/tests.hpp.gch)
with = $(if $(1),-include $(basename $(1)))

# agent/rooms has the rooms by rank, lowest first. below_ROOM: the room itself and all that it may use, as a linker wants them.
ROOMS := $(shell awk '/^[0-9]/ {print $$2}' agent/rooms)
below = $(shell sort -rn agent/rooms | awk '$$2 == "$(1)" {rank = $$1; print $$2} /^[0-9]/ && $$1 + 0 < rank + 0 {print $$2}')
$(foreach room,$(ROOMS),$(eval below_$(room) := $(call below,$(room))))
libs = $(foreach room,$(1),$(BUILD)/lib$(room).a)

# Evaluated when they are used, not when make begins: on a fresh machine the first target installs pkg-config and the libraries.
FLAGS_base = $(filter-out -DSPDLOG_SHARED_LIB -DSPDLOG_COMPILED_LIB,$(shell pkg-config --cflags spdlog 2>/dev/null)) -DFMT_HEADER_ONLY
FLAGS_cli = $(shell pkg-config --cflags cpp-httplib 2>/dev/null)

# A library that a program has inside costs it nothing when it starts, and a deploy starts chillboxd twice more (stager, launcher). Those that read strangers' bytes
# (sodium, crypto, zstd, z) stay the system's, so that its updates reach them.
inside = $(if $(wildcard $(shell $(CXX) -print-file-name=lib$(1).a)),-l:lib$(1).a,-l$(1))
LIBS_DAEMON = -lsodium $(call inside,seccomp) $(call inside,sqlite3) -lcrypto -lzstd -lz -lpthread
CXX_INSIDE := $(if $(SANITIZE),,-static-libstdc++ -static-libgcc)
LIBS_HTTP = $(shell pkg-config --libs cpp-httplib 2>/dev/null) -lssl -lcrypto
# The loader looks for each symbol in one library after the other, in this order: those with the most symbols stand first.
LIBS_CLI = -Wl,--no-as-needed -lcrypto -lstdc++ -lssl -Wl,--as-needed $(LIBS_HTTP) -lsodium $(call inside,seccomp) -lzstd -lz -lpthread

# Only the host in a box needs root.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,$(shell command -v doas || command -v sudo))
# Its root file system is made while others compile, where nobody is asked for a password.
BOX_ROOT := $(if $(filter 0,$(shell id -u)),box-root)

# What compiling needs, and what compiling tests needs.
DEPS_SENTINEL := $(BUILD)/.deps
DEPS_TESTS := $(BUILD)/.deps-tests

ROOMS_TESTED ?= $(ROOMS)
TESTS := $(foreach room,$(ROOMS_TESTED),$(if $(wildcard tests/$(room)/*_test.cpp),$(BUILD)/test-$(room)))

.PHONY: help all deps build test unit unit-programs box-root demo demo-fleet fleet-load lint bench install clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: $(DEPS_SENTINEL) ## install what building and testing need (with apt or apk, and say so)
	@sh .ci/deps build test box

PROGRAMS := $(BUILD)/chillboxd $(BUILD)/chillboxctl $(BUILD)/chillbox-log
# Several of these need them, in whatever order they are read.
ARCHS ?= x86_64 aarch64
MACHINE := $(shell uname -m)
STATIC_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/chillbox-static
STATIC_ID := $(shell cd apk/static && cat zig zig.txt sources Cargo.lock libs | sha256sum | cut -c 1-16)
STATIC := $(STATIC_CACHE)/$(STATIC_ID)
MAN_PAGES := $(patsubst agent/man/%.scd,$(BUILD)/man/%,$(wildcard agent/man/*.scd))

-include tests/make/*.mk

all build: $(PROGRAMS) engine ## build the programs, and the ACME engine where there is Go

$(foreach room,$(ROOMS),$(eval OPT_$(room) := $(if $(filter $(room),$(HOT)),$(OPT_HOT))))
# g++ passes over one that was made with other flags, clang does not.
$(foreach room,$(ROOMS),$(eval STD_$(room) := $(if $(OPT_$(room))$(and $(filter %-musl-c++,$(CXX)),$(FLAGS_$(room))),,$(STD))))
# A room's files are compiled up to TOGETHER at a time, in parts of the same size, because reading headers and instantiating the same templates takes longer than
# compiling the rest: a name without a namespace of its own is the whole room's. Fewer for a quicker compile after a change: TOGETHER=4. $(call units,DIR,FILES)
# makes UNITS_DIR, the objects, each named after its first and last file; what it includes is written before each compile.
# Alone: what small programs link without the rest of its room (chillbox-log, control-schema), and tables that only some files may see.
TOGETHER ?= 20
ALONE := agent/base/log.cpp agent/cli/core/answers.cpp
define unit
UNITS_$(1) += $(2).o
$(2).o: PARTS := $(patsubst tests/%,%,$(3:agent/%=%))
$(2).o: $(3)
endef
unit_of = $(eval $(call unit,$(1),$(BUILD)/$(1)/$(basename $(notdir $(firstword $(2))))-$(words $(2))-$(basename $(notdir $(lastword $(2)))),$(2)))
cut_units = $(if $(2),$(call unit_of,$(1),$(wordlist 1,$(3),$(2)))$(call cut_units,$(1),$(wordlist $(words $(3) $(wordlist 1,$(3),$(2))),9999,$(2)),$(3)))
units = $(if $(2),$(call cut_units,$(1),$(2),$(shell files=$(words $(2)) parts=$$(((files + $(TOGETHER) - 1) / $(TOGETHER))) && echo $$((files / parts + (files % parts > 0))))))

define room_rules
MAIN_$(1) := agent/$(1)/main.cpp
SRC_$(1) := $$(filter-out $$(MAIN_$(1)),$$(wildcard agent/$(1)/*.cpp agent/$(1)/*/*.cpp))
$$(call units,agent/$(1),$$(filter-out $(ALONE),$$(SRC_$(1))))
$$(call units,tests/$(1),$$(filter-out $(TESTS_LEFT_OUT),$$(wildcard tests/$(1)/*_test.cpp)))
$(BUILD)/lib$(1).a: $$(UNITS_agent/$(1)) $$(patsubst %.cpp,$(BUILD)/%.o,$$(filter $(ALONE),$$(SRC_$(1))))
	@rm -f $$@.new && $(AR) rcs $$@.new $$^ && mv -f $$@.new $$@
$$(UNITS_agent/$(1)): $(STD_$(1)) | $(DEPS_SENTINEL)
	@mkdir -p $$(@D)
	@printf '  CXX   %s\n' $$(@:$(BUILD)/%=%)
	@printf '#include "%s"\n' $$(PARTS) >$$(@:.o=.cpp)
	@$(COMPILE) $$(FLAGS_$(1)) $(OPT_$(1)) $(call with,$(STD_$(1))) -c -o $$@ $$(@:.o=.cpp)
$(BUILD)/agent/$(1)/%.o: agent/$(1)/%.cpp $(STD_$(1)) | $(DEPS_SENTINEL)
	@mkdir -p $$(@D)
	@printf '  CXX   %s\n' $$<
	@$(COMPILE) $$(FLAGS_$(1)) $(OPT_$(1)) $(call with,$(STD_$(1))) -c -o $$@ $$<
$$(UNITS_tests/$(1)): $(STD_TESTS) | $(DEPS_TESTS)
	@mkdir -p $$(@D)
	@printf '  CXX   %s\n' $$(@:$(BUILD)/%=%)
	@printf '#include "%s"\n' $$(PARTS) >$$(@:.o=.cpp)
	@$(COMPILE) $$(FLAGS_$(1)) $(OPT_TESTS) -Itests $(call with,$(STD_TESTS)) -c -o $$@ $$(@:.o=.cpp)
$(BUILD)/tests/$(1)/%.o: tests/$(1)/%.cpp | $(DEPS_TESTS)
	@mkdir -p $$(@D)
	@printf '  CXX   %s\n' $$<
	@$(COMPILE) $$(FLAGS_$(1)) $(OPT_TESTS) -Itests -c -o $$@ $$<
endef
$(foreach room,$(ROOMS),$(eval $(call room_rules,$(room))))

ifneq ($(PRECOMPILES),)
$(STD:.gch=) $(STD_TESTS:.gch=): agent/base/std.hpp
	@mkdir -p $(@D)
	@{ cat $<; [ $(@F) = agent.hpp ] || echo '#include "catch.hpp"'; } >$@.new && mv -f $@.new $@

$(STD_TESTS): OPT_STD := $(OPT_TESTS) -Itests
$(STD_TESTS): | $(DEPS_TESTS)
$(STD) $(STD_TESTS): %.gch: % | $(DEPS_SENTINEL)
	@printf '  CXX   %s\n' '$(<F)'
	@$(COMPILE) $(OPT_STD) -x c++-header -o $@ $<
endif

$(BUILD)/tests/catch_main.o: tests/catch_main.cpp | $(DEPS_TESTS)
	@mkdir -p $(@D)
	@printf '  CXX   %s\n' $<
	@$(COMPILE) $(OPT_TESTS) -Itests -c -o $@ $<

# Debian 12 has Catch2 2 (header only), the others Catch2 3 (a library without our main).
CATCH_LIBS = $(shell pkg-config --exists catch2-with-main 2>/dev/null && echo -lCatch2)
define test_rules
$(BUILD)/test-$(1): $$(UNITS_tests/$(1)) $(BUILD)/tests/catch_main.o $$(call libs,$$(below_$(1)))
	@printf '  LINK  %s\n' $$@
	@$(CXX) $(CXXFLAGS) $(LDFLAGS) -o $$@ $$(UNITS_tests/$(1)) $(BUILD)/tests/catch_main.o \
	  $$(call libs,$$(below_$(1))) $$(LIBS_HTTP) $$(LIBS_DAEMON) $$(CATCH_LIBS)
endef
$(foreach room,$(ROOMS),$(eval $(call test_rules,$(room))))

$(BUILD)/chillboxd: $(BUILD)/agent/daemon/main.o $(call libs,$(below_daemon))
	@printf '  LINK  %s\n' $@
	@$(CXX) $(CXXFLAGS) $(LDFLAGS) $(CXX_INSIDE) -o $@ $^ $(LIBS_DAEMON)

$(BUILD)/chillboxctl: $(BUILD)/agent/cli/main.o $(call libs,$(below_cli))
	@printf '  LINK  %s\n' $@
	@$(CXX) $(CXXFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_CLI)

# One runs for each service: with the C++ library inside, of which it uses little, it takes a quarter of a megabyte.
$(BUILD)/chillbox-log: $(BUILD)/agent/openrc/main.o $(call libs,$(below_os))
	@printf '  LINK  %s\n' $@
	@$(CXX) $(CXXFLAGS) $(LDFLAGS) $(CXX_INSIDE) -o $@ $^ -lsodium -lseccomp -lpthread

$(BUILD)/test-openrc: | $(BUILD)/chillbox-log

$(DEPS_SENTINEL): .ci/deps
	@sh .ci/deps build
	@mkdir -p $(@D) && touch $@

$(DEPS_TESTS): .ci/deps
	@sh .ci/deps build test
	@mkdir -p $(@D) && touch $@

SUITES ?= lint unit stories
test: deps $(if $(filter stories host,$(SUITES)),$(BOX_ROOT)) $(LINT_TOOLS) build test-ca $(if $(filter stories host,$(SUITES)),test-s3) $(TESTS) $(BUILD)/crypto-tool ## run every test (SUITES="lint unit stories" chooses)
	@BUILD=$(BUILD) UNIT_TESTS="$(TESTS)" sh tests/run-all $(SUITES)

box-root: | $(DEPS_SENTINEL)
	@sh .ci/deps box test
	@sh tests/host/box root >/dev/null

demo: $(BOX_ROOT) build ## play the whole story on a host in a box, with real output (KEEP=1 leaves the host running)
	@sh .ci/deps box test
	@[ "$$(id -u)" -eq 0 ] || echo 'demo: a host in a box needs root: it is asked for now'
	@$(AS_ROOT) env BUILD=$(abspath $(BUILD)) KEEP=$(KEEP) sh tests/host/demo

fleet-load: build ## send 100,000 requests through a balancer, over 20 rollouts and 5 drained reboots of hosts: none is lost
	@sh .ci/deps box test
	@$(AS_ROOT) env BUILD=$(abspath $(BUILD)) bats --filter-tags slow bats/host-balance.bats

demo-fleet: $(BOX_ROOT) build test-s3 ## play the story of two hosts that serve one site, in two boxes
	@sh .ci/deps box test
	@[ "$$(id -u)" -eq 0 ] || echo 'demo-fleet: hosts in boxes need root: it is asked for now'
	@$(AS_ROOT) env BUILD=$(abspath $(BUILD)) sh tests/host/demo-fleet

lint: $(LINT_TOOLS) ## check layers, code layout, shell scripts, man pages, words and the threat table
	@BUILD=$(BUILD) sh tests/run-all lint

unit-programs: $(TESTS)

unit: $(TESTS) ## run the Catch2 tests
	@sh tests/run-unit $(TESTS)

# Paths below /usr are in the programs.
ifneq ($(or $(PREFIX),/usr),/usr)
$(error PREFIX must be /usr: the programs know their files by these paths. DESTDIR=DIR puts all of it below DIR)
endif

install: build ## copy the files of apk/files below DESTDIR
	@sh apk/install "$(DESTDIR)" "$(BUILD)"

clean: ## remove what was built
	rm -rf $(BUILD) dist

-include $(shell find $(BUILD)/agent $(BUILD)/tests $(wildcard $(BUILD)/*.d) -type f -name '*.d' 2>/dev/null)
