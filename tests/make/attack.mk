.PHONY: attack
attack: build $(BUILD)/crypto-tool ## all stories of attackers and their unit tests, then the threat table of DESIGN.md with the results
	@sh .ci/deps box test
	@$(MAKE) --no-print-directory $(TESTS)
	@$(AS_ROOT) env BUILD=$(BUILD) KEEP_GOING=1 sh tests/run-all attack || :
	@$(AS_ROOT) env BUILD=$(BUILD) python3 tests/attack-table
