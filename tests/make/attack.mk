.PHONY: attack
attack: build $(BUILD)/crypto-tool ## run all attacks and their unit tests, then print the threat table of DESIGN.md with the results
	@sh .ci/deps box test
	@$(MAKE) --no-print-directory $(TESTS)
	@$(AS_ROOT) env BUILD=$(BUILD) KEEP_GOING=1 sh tests/run-all attack || :
	@$(AS_ROOT) env BUILD=$(BUILD) python3 tests/attack-table
