# On Alpine's own root file system: an unpacked minirootfs, better with OpenRC, NGINX and python3, as `make alpine-rootfs` makes it.
.PHONY: alpine-rootfs test-alpine
alpine-rootfs: ## download and check Alpine's minirootfs into build/alpine-rootfs (MINIROOTFS=FILE uses that file)
	@$(AS_ROOT) env MINIROOTFS='$(MINIROOTFS)' sh apk/rootfs $(BUILD)/alpine-rootfs

test-alpine: ARCHS := $(shell uname -m)
test-alpine: repo ## install the package on Alpine and run the whole story there (BOX_ROOTFS=DIR)
	@[ -n "$(BOX_ROOTFS)" ] || { echo 'test-alpine: BOX_ROOTFS=DIR names an unpacked Alpine root: make alpine-rootfs' >&2; exit 2; }
	@sh .ci/deps box test
	@$(AS_ROOT) env BUILD=$(BUILD) BOX_ROOTFS=$(abspath $(BOX_ROOTFS)) APK_KEY='$(apk_key)' STRICT=$$(test -x '$(BOX_ROOTFS)/sbin/openrc-run' && echo 1) sh tests/run-bats bats/host-alpine.bats $(BUILD)/logs
