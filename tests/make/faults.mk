.PHONY: faults
faults: ## the catalogue of bad inputs beside the tests for each
	@sh tests/fault-table
