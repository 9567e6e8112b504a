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

.PHONY: static static-test
static: $(ARCHS:%=static-%) ## build programs with everything inside, for ARCHS="x86_64 aarch64", and print their sizes
	@sh apk/static/report $(foreach arch,$(ARCHS),$(call STATIC_BUILD,$(arch)))

static-test: $(ARCHS:%=static-test-%) ## run the unit tests as such programs (another architecture's through qemu-user)

static-%: $(STATIC)/%
	$(call static_make,$*) static-programs

static-test-%: $(STATIC)/%
	$(call static_make,$*) ARCH=$* static-unit

# Run by static_make: the variables are those of one architecture.
.PHONY: static-programs static-unit
static-programs: $(PROGRAMS) engine
static-unit: $(TESTS)
	@sh apk/static/try $(ARCH) $(TESTS)

.PRECIOUS: $(STATIC)/%
$(STATIC)/%: | $(STATIC)/.ready
	@CC='$(STATIC)/zig/bin/$*-linux-musl-cc' AR='$(STATIC)/zig/bin/ar' RANLIB='$(STATIC)/zig/bin/ranlib' \
	  sh apk/static/libs $*-linux-musl $(STATIC)/src $@

$(STATIC)/.ready:
	@sh .ci/deps build static
	@sh apk/static/zig $(STATIC)/zig
	@sh apk/static/sources $(STATIC)/src
	@mkdir -p $(STATIC)/headers
	@for name in $(STATIC_HEADERS); do ln -sfn /usr/include/$$name $(STATIC)/headers/$$name; done
	@touch $@
