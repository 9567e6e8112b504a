# Makes what users read: man pages, from scdoc's text.

.PHONY: man
man: $(MAN_PAGES) ## build the man pages

# They take milliseconds, so every build makes them and `make install` finds them.
all build: man

$(BUILD)/man/%: agent/man/%.scd | $(DEPS_SENTINEL)
	@mkdir -p $(@D)
	@printf '  MAN   %s\n' $(@F)
	@scdoc <$< >$@.new && mv -f $@.new $@

# Completions for the shells: the same text on every machine, so that a build for another one may take them from here.
COMPLETIONS := $(BUILD)/completion/chillboxctl.bash $(BUILD)/completion/chillboxctl.zsh $(BUILD)/completion/chillboxctl.fish

all build: $(COMPLETIONS)

$(COMPLETIONS): $(BUILD)/completion/chillboxctl.%: $(BUILD)/chillboxctl
	@mkdir -p $(@D)
	@$(BUILD)/chillboxctl completion $* >$@.new && mv -f $@.new $@
