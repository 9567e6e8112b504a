# The stories of fleets, and a fleet of three hosts under faults (tests/fleet).
FLEET_HISTORY ?= $(BUILD)/fleet-faults-$(SEED).jsonl

.PHONY: fleet-test fleet-faults
fleet-test: build $(BUILD)/crypto-tool ## run the stories of fleets, those of the engine once more with the newest etcd (ETCD=DIR chooses another), those of buckets with a real S3 server
	@sh .ci/deps test box
	@$(AS_ROOT) env BUILD=$(abspath $(BUILD)) NEWEST='$(ETCD)' sh tests/fleet/stories

fleet-faults: build $(BUILD)/fleet-clock.so ## three hosts and an etcd of three: rollouts, local changes and forgeries under random faults, judged afterwards (T=30m SEED=N, ETCD=DIR)
	@sh .ci/deps test box
	@python3 -B tests/fleet/judge_test.py 2>&1 | tail -n 1
	@$(AS_ROOT) env BUILD=$(abspath $(BUILD)) SEED=$(SEED) $(if $(ETCD),ETCD='$(ETCD)') bash tests/fleet/run $(T) $(abspath $(FLEET_HISTORY))

$(BUILD)/fleet-clock.so: tests/fleet/clock.cpp | $(DEPS_SENTINEL)
	@printf '  LINK  %s\n' $@
	@$(COMPILE) -U_FORTIFY_SOURCE -fPIC -shared -o $@ $<
