# On Alpine's own root file system: an unpacked minirootfs with OpenRC, NGINX and python3 from Alpine's servers, or built from source (PARTS=1).
ALPINE_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/chillbox-alpine
ALPINE_PARTS := $(ALPINE_CACHE)/$(shell { find tests/alpine -type f | sort | xargs cat; echo '$(SOURCES)'; } | sha256sum | cut -c 1-16)
ALPINE_STATIC := $(BUILD)/static/$(MACHINE)

.PHONY: alpine-rootfs test-alpine static-stories
alpine-rootfs: $(if $(PARTS),$(ALPINE_PARTS)) ## make a root of Alpine's minirootfs in build/alpine-rootfs (MINIROOTFS=FILE; PARTS=1 builds its packages, SOURCES=DIR)
	@sh .ci/deps test
	@$(AS_ROOT) env MINIROOTFS='$(MINIROOTFS)' sh apk/rootfs $(BUILD)/alpine-rootfs $(if $(PARTS),'$(ALPINE_PARTS)')

$(ALPINE_PARTS): | $(STATIC)/$(MACHINE)
	@sh .ci/deps alpine
	@mkdir -p '$(@D)'
	@SOURCES='$(SOURCES)' sh tests/alpine/build $(STATIC) '$@'

# The stories of SUITE=all are those of Debian's box, with static programs.
test-alpine: ## install the package on Alpine and run the story there (BOX_ROOTFS=DIR; SUITE=all runs every story)
	@[ -n "$(BOX_ROOTFS)" ] || { echo 'test-alpine: BOX_ROOTFS=DIR names an unpacked Alpine root: make alpine-rootfs' >&2; exit 2; }
	@sh .ci/deps box test
	+@$(MAKE) --no-print-directory repo ARCHS=$(MACHINE)
	@$(AS_ROOT) env BUILD=$(BUILD) BOX_ROOTFS=$(abspath $(BOX_ROOTFS)) APK_KEY="$(apk_key)" STRICT=$$(test -x '$(BOX_ROOTFS)/sbin/openrc-run' && echo 1) sh tests/run-bats bats/host-alpine.bats $(BUILD)/logs
	$(if $(filter all,$(SUITE)),$(call static_make,$(MACHINE)) static-stories)
	$(if $(filter all,$(SUITE)),@$(AS_ROOT) env BUILD=$(ALPINE_STATIC) BOX_ROOTFS=$(abspath $(BOX_ROOTFS)) APK_KEY="$(apk_key)" PACKAGES=$(abspath dist)/$(MACHINE) sh tests/run-all host)

# Run by static_make, as is static-programs.
static-stories: $(PROGRAMS) $(BUILD)/test-nginx $(BUILD)/test-openrc $(BUILD)/crypto-tool gate
