.PHONY: faults
faults: ## the catalogue of bad inputs beside the tests for each, and their results
	@$(MAKE) --no-print-directory $(TESTS)
	@BUILD=$(BUILD) sh tests/fault-table
