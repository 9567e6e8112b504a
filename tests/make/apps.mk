.PHONY: test-apps field
test-apps: deps build ## bring twenty applications of strangers to a host in a box, and count what had to be written and changed
	@BUILD=$(BUILD) BATS_SECONDS=3600 BATS_TAGS=slow sh tests/run-bats bats/host-apps.bats $(BUILD)
	@sed -n 's/^# \(.* \)/\1/p' $(BUILD)/host-apps.bats.log | grep -v '^skip'
	@awk '{printf "%d passed, %d failed\n", $$1, $$2; exit $$2 > 0}' $(BUILD)/host-apps.bats.log.count

field: deps build ## bring inputs after public bug reports to a host in a box, and compare what is right with what is
	@BUILD=$(BUILD) BATS_SECONDS=1800 BATS_TAGS=slow sh tests/run-bats bats/host-field.bats $(BUILD)
	@awk '{printf "%d passed, %d failed\n", $$1, $$2; exit $$2 > 0}' $(BUILD)/host-field.bats.log.count
