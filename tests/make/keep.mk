# Puts months of a host's life into one run: bad releases with visitors, and deploys in a row on a small disk.
.PHONY: bad-releases small-disk load-run
bad-releases: build ## deploy N bad releases (12; there are 17 kinds) with visitors: all are refused or rolled back; prints the p95 in seconds
	@sh .ci/deps box test
	@$(AS_ROOT) env BUILD=$(BUILD) BAD_RELEASES=$(N) bats bats/host-bad.bats

small-disk: build ## deploy N times in a row (10) on a disk that has room for a few releases
	@sh .ci/deps box test
	@$(AS_ROOT) env BUILD=$(BUILD) DEPLOYS=$(N) bats bats/host-disk.bats

load-run: build ## send REQUESTS=N (1000000), with keep-alive and without, during 30 deploys, 10 bad ones, 10 rollbacks and 10 reloads: none fails
	@sh .ci/deps box test
	@$(AS_ROOT) env BUILD=$(BUILD) GOOD=30 BAD=10 BACK=10 TEXTS=10 TCP=20 STRETCH=10 REQUESTS=$(or $(REQUESTS),1000000) bats bats/host-load.bats
