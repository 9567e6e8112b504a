# What a person has to do for each task, counted by doing it.
.PHONY: test-ux
test-ux: deps build ## do what a person does from nothing to a live site and after, and print commands, flags, files, typings and seconds
	@$(AS_ROOT) env BUILD=$(BUILD) UX_TABLE=$(abspath $(BUILD))/ux.txt bats bats/host-ux.bats; code=$$?; cat $(BUILD)/ux.txt; exit $$code
