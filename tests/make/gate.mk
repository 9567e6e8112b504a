# Programs that attack the webhook intake of a running host: bats/host-gate.bats uses them.
GATE := $(patsubst tests/gate/%.cpp,$(BUILD)/gate-%,$(wildcard tests/gate/*.cpp))
GATE_LIBS := $(call libs,$(below_crypto))

.PHONY: gate
gate: $(GATE)

$(GATE): $(BUILD)/gate-%: tests/gate/%.cpp $(GATE_LIBS) | $(DEPS_SENTINEL)
	@printf '  CXX   %s\n' $<
	@$(COMPILE) -Itests -o $@ $< $(GATE_LIBS) $(LDFLAGS) $(LIBS_DAEMON)
