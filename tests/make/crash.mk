# Tests what a crash, a full disk or a power cut leaves (tests/crash). Failpoints are preloaded, so the program that is killed is the one that is shipped.
SEED ?= $(shell date +%s)
EVERY ?= 1
T ?= 60
CRASH := $(BUILD)/crash-failpoint.so $(BUILD)/crash-site
CRASH_RUN = sh .ci/deps box test && $(AS_ROOT) env BUILD=$(abspath $(BUILD)) SEED=$(SEED) sh tests/crash/run

.PHONY: crash crash-matrix kills notice-kills soak soak-power power-images call-faults
crash: build $(CRASH)

$(BUILD)/crash-failpoint.so: tests/crash/failpoint.cpp tests/crash/calls.cpp tests/crash/calls.hpp | $(DEPS_SENTINEL)
	@printf '  LINK  %s\n' $@
	@$(COMPILE) -U_FORTIFY_SOURCE -Itests -fPIC -shared -o $@ $(filter %.cpp,$^)

$(BUILD)/crash-site: tests/crash/site.cpp | $(DEPS_SENTINEL)
	@printf '  CXX   %s\n' $<
	@$(COMPILE) -o $@ $< $(LDFLAGS)

crash-matrix: crash ## kill -9 the monitor before each change that each kind of job makes (EVERY=5 takes every 5th, SEED=N)
	@$(CRASH_RUN) matrix --every $(EVERY)
	@$(CRASH_RUN) certificate --every $(EVERY)

kills: crash ## kill -9 any process of chillbox at random moments (N=1000 SEED=N)
	@$(CRASH_RUN) kills --count $(or $(N),1000)

notice-kills: $(BUILD)/test-notices ## kill -9 around sends of notices (N=10000)
	@CHILLBOX_KILLS=$(or $(N),10000) $(BUILD)/test-notices '*around sends*'

soak: crash ## mix deploys, rollbacks, kills, load, reboots and power cuts (T=10m SEED=N)
	@$(CRASH_RUN) soak $(T)

soak-power: crash ## cut the power in the middle of jobs (N=50 SEED=N; BOX=vm uses a virtual machine)
	@[ "$(BOX)" != vm ] || sh .ci/deps vm
	@$(CRASH_RUN) power $(or $(N),50)

power-images: $(BUILD)/test-rollout ## boot from every disk that a power cut may leave (IMAGES=N of each job)
	@CHILLBOX_IMAGES=$(or $(IMAGES),100000000) $(BUILD)/test-rollout '*the power goes at any moment*'

call-faults: $(BUILD)/test-rollout ## let every system call of a job fail once (the unit tests include a sample)
	@CHILLBOX_FAULTS=1 $(BUILD)/test-rollout '*every call of*'
