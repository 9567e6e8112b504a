# Alpine packages on any machine: what `make static` built, packed and signed by apk/pack.py as dist/ARCH/*.apk, with the key's public half in dist/.
# The first run makes a signing key of yours; APK_KEY names another one (PEM, RSA, as abuild-keygen makes it).
APK_KEYS := $(or $(XDG_CONFIG_HOME),$(HOME)/.config)/chillbox/apk
APK_KEY ?=
# In double quotes, for the shell: python3 may be installed by what runs before.
apk_key = $(or $(APK_KEY),$$(python3 apk/pack.py key '$(APK_KEYS)'))

.PHONY: apk repo
# Manual, completions and notices are the same for all. This machine's own program writes the completions.
apk: static-$(MACHINE) $(ARCHS:%=static-%) $(MAN_PAGES) $(BUILD)/static/third-party.txt ## build signed Alpine packages in dist/ (ARCHS, APK_KEY)
	@sh .ci/deps apk
	@mkdir -p $(BUILD)/static/completion
	@for shell in bash zsh fish; do $(BUILD)/static/$(MACHINE)/chillboxctl completion $$shell >$(BUILD)/static/completion/chillboxctl.$$shell || exit 1; done
	@key="$(apk_key)" && for arch in $(ARCHS); do \
	  ln -sfn $(abspath $(BUILD))/man $(abspath $(BUILD))/static/completion $(abspath $(BUILD))/static/third-party.txt $(BUILD)/static/$$arch/ && \
	  python3 apk/pack.py pack $$arch $(BUILD)/static/$$arch $(VERSION) "$$key" dist && wc -c dist/$$arch/*.apk || exit 1; \
	done

# What was in it stays: hosts may ask for an older version.
repo: apk ## make a signed apk repository in dist/repo, for any web server
	@key="$(apk_key)" && for arch in $(ARCHS); do \
	  mkdir -p dist/repo/v1/$$arch && cp dist/$$arch/*.apk dist/repo/v1/$$arch/ && python3 apk/pack.py index "$$key" dist/repo/v1/$$arch || exit 1; \
	done && cp "dist/$$(basename "$$key").pub" dist/repo/ && find dist/repo -type f | sort

# The licences of all that is inside of the static programs.
$(BUILD)/static/third-party.txt: $(STATIC)/$(MACHINE) apk/static/notices
	@mkdir -p $(@D)
	@sh apk/static/notices $(STATIC) >$@.new && mv -f $@.new $@

# Nothing is uploaded. RELEASE_KEY: a minisign secret key.
.PHONY: release
release: repo ## put a release together in dist/release and tag it: VERSION=X RELEASE_KEY=FILE
	@[ -n '$(RELEASE_KEY)' ] || { echo 'release: RELEASE_KEY=FILE names the minisign secret key that signs it' >&2; exit 2; }
	@sh .ci/deps test
	@sh apk/release $(VERSION) '$(ARCHS)' '$(RELEASE_KEY)' $(STATIC)
