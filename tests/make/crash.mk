# What a crash, a full disk or a power cut leaves behind (tests/crash): failpoints are preloaded, so that what is killed is what is shipped.
SEED ?= $(shell date +%s)
EVERY ?= 1
T ?= 60
CRASH := $(BUILD)/crash-failpoint.so $(BUILD)/crash-site
CRASH_RUN = $(AS_ROOT) env BUILD=$(abspath $(BUILD)) SEED=$(SEED) sh tests/crash/run

.PHONY: crash crash-matrix kills soak soak-power power-images call-faults
crash: build $(CRASH)

$(BUILD)/crash-failpoint.so: tests/crash/failpoint.cpp tests/crash/calls.cpp tests/crash/calls.hpp | $(DEPS_SENTINEL)
	@printf '  LINK  %s\n' $@
	@$(COMPILE) -U_FORTIFY_SOURCE -Itests -fPIC -shared -o $@ $(filter %.cpp,$^)

$(BUILD)/crash-site: tests/crash/site.cpp | $(DEPS_SENTINEL)
	@printf '  CXX   %s\n' $<
	@$(COMPILE) -o $@ $< $(LDFLAGS)

crash-matrix: crash ## kill -9 before each change that each kind of job makes (EVERY=5: every 5th, SEED=N)
	@$(CRASH_RUN) matrix --every $(EVERY)

kills: crash ## kill -9 of any process of chillbox at random moments (N=1000 SEED=N)
	@$(CRASH_RUN) kills --count $(or $(N),1000)

soak: crash ## deploys, rollbacks, kills, load, reboots and power cuts, mixed (T=10m SEED=N)
	@$(CRASH_RUN) soak $(T)

soak-power: crash ## power cuts in the middle of jobs (N=50 SEED=N; BOX=vm: of a virtual machine)
	@[ "$(BOX)" != vm ] || sh .ci/deps vm
	@$(CRASH_RUN) power $(or $(N),50)

power-images: $(BUILD)/test-rollout ## boots from every disk that a power cut may leave (IMAGES=N of each job)
	@CHILLBOX_IMAGES=$(or $(IMAGES),100000000) $(BUILD)/test-rollout '*the power goes at any moment*'

call-faults: $(BUILD)/test-rollout ## every system call of a job fails once (a sample of them is among the unit tests)
	@CHILLBOX_FAULTS=1 $(BUILD)/test-rollout '*every call of*'
