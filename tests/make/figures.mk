.PHONY: figures
figures: ## print sizes of files and functions, line widths, lines by room, tests to code (REVS="A B": of commits)
	@sh .ci/deps test
	@python3 tests/figures $(REVS)
