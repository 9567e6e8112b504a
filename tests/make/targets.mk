# Every target that `make help` lists, each on a fresh Debian in a root of its own: with nothing cached, and nothing installed but what it installs itself.
.PHONY: test-targets
test-targets: ## run targets on a fresh machine and list which fail and which cannot run (TARGETS="apk repo"; SUITE=trixie; KEEP=DIR)
	@sh .ci/deps box
	@$(AS_ROOT) env SUITE='$(SUITE)' KEEP='$(KEEP)' COMPILED='$(COMPILED)' BOX_ROOTFS='$(BOX_ROOTFS)' sh tests/targets $(TARGETS)
