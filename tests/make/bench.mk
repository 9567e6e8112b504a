# Measures what chillbox costs, next to what other programs need for the same: `make bench`, or BENCH="intake" for a part of it.
$(BUILD)/bench-%: tests/bench/%.cpp | $(DEPS_SENTINEL)
	@printf '  CXX   %s\n' $<
	@$(COMPILE) -O2 -o $@ $< $(LDFLAGS) -lcrypto -lpthread

.PHONY: bench
bench: build $(BUILD)/bench-load $(BUILD)/bench-first $(BUILD)/bench-stage $(BUILD)/bench-hmac $(BUILD)/test-nginx ## measure chillbox next to other programs, as ratios (BENCH="intake rollout stage tls laptop growth sites sizes tcp backup upload counts" chooses, BENCH=growth SITES=100 is the whole table of what must not grow; KEEP=1 keeps the table, with which later ones are compared)
	@sh .ci/deps bench box test
	@$(AS_ROOT) env BUILD=$(abspath $(BUILD)) KEEP=$(KEEP) sh tests/bench/run $(BENCH)

$(BUILD)/bench-stage $(BUILD)/bench-hmac: $(BUILD)/bench-%: tests/bench/%.cpp $(call libs,$(below_artifact))
	@printf '  CXX   %s\n' $<
	@$(COMPILE) -O2 -o $@ $< $(LDFLAGS) $(call libs,$(below_artifact)) $(LIBS_DAEMON)

.PHONY: clean-build
clean-build: ## measure the time from a clean clone to the end of the demo, without ccache (WITH_TESTS=1: and of make test)
	@sh .ci/deps build test box
	@sh tests/bench/clean-build
