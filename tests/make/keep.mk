# What a host goes through in months, in one go: bad releases with visitors, and deploys in a row on a small disk.
.PHONY: bad-releases small-disk load-run
bad-releases: build ## bad releases of every kind, N of them (12; there are 17 kinds), with visitors: all refused or rolled back, p95 seconds
	@sh .ci/deps box test
	@$(AS_ROOT) env BUILD=$(BUILD) BAD_RELEASES=$(N) bats bats/host-bad.bats

small-disk: build ## N deploys in a row (10) on a disk that has room for a few of them
	@sh .ci/deps box test
	@$(AS_ROOT) env BUILD=$(BUILD) DEPLOYS=$(N) bats bats/host-disk.bats

load-run: build ## REQUESTS=N (1000000) with keep-alive and without over 30 deploys, 10 bad ones, 10 rollbacks, 10 reloads: none fails
	@sh .ci/deps box test
	@$(AS_ROOT) env BUILD=$(BUILD) GOOD=30 BAD=10 BACK=10 TEXTS=10 STRETCH=10 REQUESTS=$(or $(REQUESTS),1000000) bats bats/host-load.bats
