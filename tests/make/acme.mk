# The ACME engine that is shipped, the one part in Go: static, for the machine or, in a static build, for ARCH.
ENGINE_SOURCES := $(wildcard hooks/acme/acmez/*.go hooks/acme/acmez/go.*)
GOARCH_x86_64 := amd64
GOARCH_aarch64 := arm64

.PHONY: engine
engine: $(BUILD)/acmez

$(BUILD)/acmez: $(ENGINE_SOURCES) | $(DEPS_SENTINEL)
	@if go=$$(sh .ci/go $(if $(GOARCH_$(ARCH)),pinned)); then \
	  printf '  GO    hooks/acme/acmez\n'; \
	  CGO_ENABLED=0 GOARCH=$(GOARCH_$(ARCH)) "$$go" build -C hooks/acme/acmez -mod=readonly -trimpath -buildvcs=false -ldflags '-s -w' -o '$(abspath $@)' .; \
	else \
	  echo 'build: without the ACME engine acmez: found no Go that is new enough (sh .ci/go get fetches one). [tls] engine = "lego" needs none'; \
	fi

# Once, before several tests want it.
.PHONY: test-ca test-s3 test-tls-more
test-ca: | $(DEPS_SENTINEL)
	@! sh .ci/go >/dev/null || sh tests/tls/pebble build >/dev/null

# Servers that stories start where there is no network.
test-s3: | $(DEPS_TESTS)
	@sh tests/hooks/s3-python >/dev/null

test-tls-more: build test-ca ## test certificates against a second CA, step-ca, which is built first (some minutes)
	@sh .ci/deps test box
	@for file in acme-step host-tls-more; do \
	  $(AS_ROOT) env BUILD=$(BUILD) BATS_SECONDS=3600 BATS_TAGS=slow TLS_CACHE="$$(dirname "$$(sh tests/tls/step-ca build)")" \
	    sh tests/run-bats bats/$$file.bats $(BUILD)/logs || exit 1; \
	done
