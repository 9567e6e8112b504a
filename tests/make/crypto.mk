# Makes what the tests of agent/crypto need in addition to test-crypto: a tool for the interop tests (bats/formats.bats) and the age vectors.
$(BUILD)/crypto-tool: $(BUILD)/tests/crypto/tool.o $(call libs,$(below_crypto))
	@printf '  LINK  %s\n' $@
	@$(CXX) $(CXXFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_DAEMON)

.PHONY: vectors
vectors: ## get the C2SP age test vectors (npm package cctv-age) into build/vectors
	@sh .ci/deps schema
	@BUILD=$(BUILD) sh tests/crypto/fetch-vectors

# Once they are downloaded, the unit tests use them.
export CCTV_AGE ?= $(wildcard $(abspath $(BUILD))/vectors/cctv-age)
