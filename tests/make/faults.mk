.PHONY: faults
faults: ## print the catalogue of bad inputs with the tests for each, and their results
	@$(MAKE) --no-print-directory $(TESTS)
	@BUILD=$(BUILD) sh tests/fault-table
