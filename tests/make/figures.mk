.PHONY: figures
figures: ## sizes of files and functions, widths, lines by room, tests to code (REVS="A B": of commits)
	@sh .ci/deps test
	@python3 tests/figures $(REVS)
