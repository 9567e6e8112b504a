.PHONY: test-apps field
test-apps: deps build ## bring twenty applications of strangers to a host in a box, and count what had to be written and changed
	@BUILD=$(BUILD) BATS_SECONDS=3600 BATS_TAGS=slow sh tests/run-bats bats/host-apps.bats $(BUILD)/logs; code=$$?; \
	sed -n 's/^# //p' $(BUILD)/logs/host-apps.bats.log | grep -E ' (works|refused, as it must be)$$|^name '; exit $$code

field: deps build ## bring inputs after public bug reports to a host in a box, and compare what is right with what is
	@BUILD=$(BUILD) BATS_SECONDS=1800 BATS_TAGS=slow sh tests/run-bats bats/host-field.bats $(BUILD)/logs
