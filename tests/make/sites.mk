# Tests sites: what their authors write, and how it behaves on a host.
.PHONY: schema test-sites docs
schema: $(BUILD)/chillboxctl ## check that the JSON Schema (by ajv) and the agent agree on the corpus of site files
	@sh .ci/deps schema
	@BUILD=$(abspath $(BUILD)) sh tests/schema/run

SITE_UNITS := $(BUILD)/test-config $(BUILD)/test-nginx
test-sites: deps build $(SITE_UNITS) ## test whole sites of every kind on a host in a box, the corpus, the injections and the pages of docs/
	@sh .ci/deps schema
	@BUILD=$(BUILD) KEEP_GOING=1 UNIT_TESTS="$(SITE_UNITS)" sh tests/run-all schema unit sites

docs: $(BUILD)/control-schema ## write docs/site.json.md and docs/control.schema.json
	@sh .ci/deps test
	@python3 tests/docs/reference docs/site.schema.json >docs/site.json.md.new && mv -f docs/site.json.md.new docs/site.json.md
	@$(BUILD)/control-schema >docs/control.schema.json.new && mv -f docs/control.schema.json.new docs/control.schema.json

$(BUILD)/control-schema: tests/schema/write.cpp $(BUILD)/agent/cli/core/answers.o $(call libs,$(below_control))
	@printf '  LINK  %s\n' $@
	@$(COMPILE) $(OPT_TESTS) -o $@ $(filter %.cpp %.o %.a,$^) $(LDFLAGS) -lsodium -lpthread
