# Alpine packages on any machine: what `make static` built, packed and signed by nfpm. dist/ARCH/*.apk and the key's public half in dist/.
# The first run makes a signing key; APK_KEY names another one (PEM, RSA, as abuild-keygen makes it).
APK_KEY ?= $(or $(XDG_CONFIG_HOME),$(HOME)/.config)/chillbox/apk.rsa
NFPM_VERSION := v2.43.0
NFPM := $(STATIC_CACHE)/nfpm-$(NFPM_VERSION)/nfpm

.PHONY: apk
# Manual and completions are the same for all: those of this machine's own build.
apk: build $(ARCHS:%=static-%) $(NFPM) ## build signed Alpine packages in dist/ (ARCHS, APK_KEY)
	@for arch in $(ARCHS); do \
	  ln -sfn $(abspath $(BUILD))/man $(abspath $(BUILD))/completion $(BUILD)/static/$$arch/ && \
	  NFPM='$(NFPM)' sh apk/pack $$arch $(BUILD)/static/$$arch $(VERSION) '$(APK_KEY)' dist || exit 1; \
	done

$(NFPM):
	@sh .ci/deps apk
	@mkdir -p $(@D)
	@GOBIN=$(abspath $(@D)) GOTOOLCHAIN=auto go install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION)
