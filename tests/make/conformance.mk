# Runs the formats' own vectors, programs and libraries against the build. LARGE is the size of the file that goes through pipes.
LARGE ?= $(if $(CI),268435456,4294967296)

.PHONY: conformance
conformance: ## check every format with its own vectors and tools, and print a table (CONFORMANCE="30-minisign" chooses, LARGE=BYTES)
	@sh .ci/deps build test conformance
	@$(MAKE) --no-print-directory build $(BUILD)/crypto-tool $(BUILD)/test-crypto $(BUILD)/test-daemon
	@BUILD=$(abspath $(BUILD)) LARGE=$(LARGE) sh tests/conformance/run $(CONFORMANCE)
