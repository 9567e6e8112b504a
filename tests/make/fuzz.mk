# AddressSanitizer and UndefinedBehaviorSanitizer over the rooms that read what strangers wrote: their unit tests, and libFuzzer targets:
# `make fuzz T=60` runs each for so many seconds, FUZZ="head tar" only those. One build for both, with clang, because gcc has no libFuzzer.
T ?= 60
FUZZ ?= $(sort $(patsubst tests/fuzz/%.cpp,%,$(wildcard tests/fuzz/*.cpp)))
FUZZ_CXX := $(firstword $(shell command -v clang++-19 clang++-20 clang++-21 clang++ 2>/dev/null) clang++-19)
FUZZ_LIBS := $(patsubst %,$(BUILD)/lib%.a,courier edge nginx artifact control config crypto os base)

SANITIZE_MAKE = $(MAKE) --no-print-directory BUILD=$(BUILD)/sanitize CXX=$(FUZZ_CXX) SANITIZE=address,undefined,fuzzer-no-link \
  OPT='-O1 -g1 -w -fno-sanitize-recover=all' FUZZ='$(FUZZ)' ROOMS_TESTED='base crypto config control store artifact'

.PHONY: sanitize fuzz fuzzers instrumented
# Rooms that end in seccomp are left out: a sanitizer's own system calls are forbidden there.
sanitize: ## run the parsing rooms' unit tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@sh .ci/deps build fuzz
	+@$(SANITIZE_MAKE) unit

fuzz: ## fuzz what strangers can reach, T=60 seconds each (FUZZ="head tar" chooses)
	@sh .ci/deps build fuzz
	+@$(SANITIZE_MAKE) fuzzers
	@BUILD=$(BUILD)/sanitize sh tests/fuzz/run $(T) $(FUZZ)

instrumented: ## build what `sanitize` and `fuzz` run
	+@$(SANITIZE_MAKE) unit-programs fuzzers

fuzzers: $(FUZZ:%=$(BUILD)/fuzz-%)

$(FUZZ:%=$(BUILD)/tests/fuzz/%.o): $(BUILD)/tests/fuzz/%.o: tests/fuzz/%.cpp | $(DEPS_SENTINEL)
	@mkdir -p $(@D)
	@printf '  CXX   %s\n' $<
	@$(COMPILE) -Itests -c -o $@ $<

$(BUILD)/fuzz-%: $(BUILD)/tests/fuzz/%.o $(FUZZ_LIBS)
	@printf '  LINK  %s\n' $@
	@$(CXX) $(CXXFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(FUZZ_LIBS) -lssl $(LIBS_DAEMON)
