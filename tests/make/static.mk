# Static programs with musl and all libraries inside, for any Linux of the architecture: `make static`, ARCHS="x86_64 aarch64" for which. Compiler and
# libraries are made once for each state of their recipes and kept in STATIC_CACHE; the sources need Debian (apt) and cargo. On Alpine an ordinary
# `make build` is linked with musl anyway.
STATIC_BUILD = $(BUILD)/static/$(1)
# Header-only C++ libraries come from the machine; everything else of its /usr/include is another libc's.
STATIC_HEADERS := nlohmann CLI toml++ spdlog fmt catch2
# They are preloaded between the program and the C library, which a static program has inside.
STATIC_LEFT_OUT := $(patsubst %,tests/rollout/%_test.cpp,calls call_fault power)

# FMT_CONSTEVAL: this clang refuses what fmt 10, Debian 13's, checks while compiling; it is checked at run time.
# FLAGS_base, FLAGS_cli: what spdlog and cpp-httplib 0.11 rely on and musl and libc++ do not give them otherwise.
static_make = +@$(MAKE) --no-print-directory BUILD=$(call STATIC_BUILD,$(1)) ARCH=$(1) CCACHE=$(CCACHE) CXX='$(STATIC)/zig/bin/$(1)-linux-musl-c++' \
  AR='$(STATIC)/zig/bin/ar' OPT='-Os -w -ffunction-sections -fdata-sections -fno-sanitize=undefined' \
  CPPFLAGS='-isystem $(STATIC)/headers -isystem $(STATIC)/$(1)/include -Iagent -D_GNU_SOURCE -DCHILLBOX_VERSION="\"$(VERSION)\"" -DSPDLOG_FMT_EXTERNAL -DFMT_HEADER_ONLY -DFMT_CONSTEVAL=' \
  FLAGS_base=-D_LARGEFILE64_SOURCE FLAGS_cli='-include exception' LIBS_HTTP='-lssl -lcrypto' CATCH_LIBS= \
  LDFLAGS='-static -pie -L$(STATIC)/$(1)/lib -Wl,-z,relro,-z,now -Wl,-z,stack-size=$(STACK) -Wl,--gc-sections -Wl,-s' \
  LIBS_DAEMON='-lsodium -lseccomp -lcrypto -lsqlite3 -lzstd -lz' \
  LIBS_CLI='-lsodium -lseccomp -lssl -lcrypto -lzstd -lz' \
  TESTS_LEFT_OUT='$(STATIC_LEFT_OUT)'

# Its programs run here by qemu-user, and so do their children.
emulated = @for arch in $(filter-out $(MACHINE),$(1)); do sh .ci/deps arch && $(AS_ROOT) update-binfmts --enable qemu-$$arch || exit 1; done

.PHONY: static static-test static-split test-arch
static: $(ARCHS:%=static-%) ## build programs with everything inside, for ARCHS="x86_64 aarch64", and print their sizes
	@sh apk/static/report $(foreach arch,$(ARCHS),$(call STATIC_BUILD,$(arch)))

static-split: $(ARCHS:%=static-split-%) ## print of what these programs consist, in bytes

static-test: $(ARCHS:%=static-test-%) ## run the unit tests as such programs (another architecture's through qemu-user)

# Another architecture's machine is emulated: nine minutes for the story on two busy cores, once its root was made, which takes longer.
test-arch: build $(ARCHS:%=static-%) ## play the whole story, timed, in a virtual machine of each of ARCHS="x86_64 aarch64", with static programs
	@sh .ci/deps box test arch
	$(call emulated,$(ARCHS))
	@for arch in $(ARCHS); do \
	  $(AS_ROOT) env BOX_ARCH=$$arch BUILD=$(call STATIC_BUILD,$$arch) BOX_WAIT=600 BOX_STOP=300 BATS_TAGS=vm BATS_SECONDS=7200 \
	    sh tests/run-bats bats/host-arch.bats $(call STATIC_BUILD,$$arch)/logs || exit 1; \
	  sed -n 's/^# \(.* ms\)$$/  \1/p' $(call STATIC_BUILD,$$arch)/logs/host-arch.bats.log; \
	done

static-%: $(STATIC)/%
	$(call static_make,$*) static-programs

static-split-%: static-%
	$(call static_make,$*) static-parts

static-test-%: $(STATIC)/%
	$(call emulated,$*)
	$(call static_make,$*) ARCH=$* static-unit

# Run by static_make: the variables are those of one architecture.
.PHONY: static-programs static-parts static-unit
static-programs: $(PROGRAMS) engine
static-parts:
	@sh apk/static/split $(BUILD)/chillboxd '$(CXX)' $(CXXFLAGS) $(LDFLAGS) $(BUILD)/agent/daemon/main.o $(call libs,$(below_daemon)) $(LIBS_DAEMON)
	@sh apk/static/split $(BUILD)/chillboxctl '$(CXX)' $(CXXFLAGS) $(LDFLAGS) $(BUILD)/agent/cli/main.o $(call libs,$(below_cli)) $(LIBS_CLI)
static-unit: $(TESTS)
	@sh apk/static/try $(ARCH) $(TESTS)

.PRECIOUS: $(STATIC)/%
$(STATIC)/%: | $(STATIC)/.ready
	@CC='$(STATIC)/zig/bin/$*-linux-musl-cc' AR='$(STATIC)/zig/bin/ar' RANLIB='$(STATIC)/zig/bin/ranlib' \
	  sh apk/static/libs $*-linux-musl $(STATIC)/src $@

$(STATIC)/.ready:
	@sh .ci/deps build static
	@sh apk/static/zig $(STATIC)/zig
	@env -u MAKEFLAGS sh apk/static/sources $(STATIC)/src # cargo would look for make's other jobs
	@mkdir -p $(STATIC)/headers
	@for name in $(STATIC_HEADERS); do ln -sfn /usr/include/$$name $(STATIC)/headers/$$name; done
	@touch $@
