.PHONY: test-apps field
test-apps: deps build ## bring twenty applications of strangers to a host in a box, and count what had to be written and changed
	@BUILD=$(BUILD) BATS_SECONDS=3600 BATS_TAGS=slow sh tests/run-bats bats/host-apps.bats $(BUILD)
	@sed -n 's/^# \(.* \)/\1/p' $(BUILD)/host-apps.bats.log | grep -v '^skip'
	@awk '{printf "%d passed, %d failed\n", $$1, $$2; exit $$2 > 0}' $(BUILD)/host-apps.bats.log.count
