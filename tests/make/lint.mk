# clang-format of one version, in a virtual environment of its own.
LINT_TOOLS := $(BUILD)/lint/.installed

.PHONY: format
format: $(LINT_TOOLS) ## format all C++ as .clang-format says
	@git ls-files 'agent/*.cpp' 'agent/*.hpp' 'tests/*.cpp' 'tests/*.hpp' | xargs $(BUILD)/lint/bin/clang-format -i

$(LINT_TOOLS): tests/lint-requirements.txt
	@sh .ci/deps test
	@printf '  PIP   clang-format\n'
	@python3 -m venv $(@D)
	@$(@D)/bin/pip --quiet --disable-pip-version-check install --requirement $<
	@touch $@
