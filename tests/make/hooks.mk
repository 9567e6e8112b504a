# hooks/handlers, hooks/lib, hooks/move, hooks/setup, hooks/backup and hooks/failover as a table in chillboxctl: the kinds that a laptop knows which has the program alone, and what
# `setup` and `move` send and `deploy --via`, `host import` and `fleet dns` run.
HOOK_FILES := $(shell find hooks/backup hooks/failover hooks/handlers hooks/lib hooks/move hooks/setup -type f ! -name '*.pyc' | LC_ALL=C sort)

$(BUILD)/generated/shipped_hooks.cpp: $(HOOK_FILES) agent/cli/pack/embed-hooks
	@mkdir -p $(@D)
	@sh agent/cli/pack/embed-hooks $(HOOK_FILES) >$@.new && mv -f $@.new $@

$(BUILD)/generated/shipped_hooks.o: $(BUILD)/generated/shipped_hooks.cpp | $(DEPS_SENTINEL)
	@printf '  CXX   %s\n' $<
	@$(COMPILE) -c -o $@ $<

$(BUILD)/libcli.a: $(BUILD)/generated/shipped_hooks.o
