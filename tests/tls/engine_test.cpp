// A hostile or broken engine: real programs, and the real runner.
#include "tls/tls_host.hpp"

using namespace chillbox;
using namespace chillbox::test;

namespace {

struct Script {
  explicit Script(const std::string& text) {
    paths.root = dir.path;
    std::filesystem::create_directories(dir.path + "/hooks/acme/bad");
    must(os::real_disk().write(dir.path + "/hooks/acme/bad/engine", "#!/bin/sh\n" + text, 0755));
    ::setenv("CHILLBOX_HOOKS", (dir.path + "/hooks").c_str(), 1);
    config.tls.acme = "https://ca.test/dir";
    config.tls.engine = "bad";
  }
  std::string order() {
    auto answer = acme.order({.csr = "c", .names = {"a.example"}, .deadline = os::Millis{1'000}});
    return answer ? "ok" : cat(answer.error().type, ": ", answer.error().detail);
  }
  TempDir dir;
  os::Paths paths;
  config::HostConfig config;
  bool stop = false;
  tls::Acme acme{{os::real_disk(), os::real_runner(), os::real_clock(), os::Paths{dir.path}, config,
      false, [this] { return stop; }}};
};

} // namespace

TEST_CASE("[attack-G4] an engine that prints garbage, too much, nothing, or dies is one failure with its last line [fault-314] (tls 32)") {
  CHECK(says(Script("echo hello").order(), "printed something else than one JSON object"));
  CHECK(says(Script("cat >/dev/null; echo first >&2; echo 'no such CA' >&2; exit 3").order(),
      "ended with code 3: no such CA"));
  CHECK(says(Script("kill -SEGV $$").order(), "was ended by signal 11"));
  CHECK(says(
      Script("head -c 10000000 /dev/zero | tr '\\0' x").order(), "printed more than 262144 bytes"));
  CHECK(says(
      Script(
          "printf '{\"ok\":true,\"chain\":\"'; head -c 1000000 /dev/zero | tr '\\0' A; printf '\"}'")
          .order(),
      "printed more than"));
  CHECK(says(Script("echo '{\"ok\":\"yes\"}'").order(), "something else"));
  CHECK(says(Script("echo '[1]'").order(), "something else"));
  CHECK(says(Script("echo '{\"ok\":true}{\"ok\":true}'").order(), "something else"));
  CHECK(says(Script("for i in $(seq 100); do printf '{\"a\":'; done").order(), "something else"));
}

TEST_CASE("[attack-G7] an engine that hangs is ended with all that it started (tls 32)") {
  Script script("sleep 300 & sleep 300");
  script.stop = true; // a daemon that ends does not wait for it either
  const auto begun = os::real_clock().mono();
  CHECK(says(script.order(), "interrupted"));
  CHECK(os::real_clock().mono() - begun < os::Millis{3'000});
}

TEST_CASE("what an engine says is shown to people without what would fool them") {
  Script script(
      "cat >/dev/null; printf '%s' '{\"ok\":false,\"problem\":{\"type\":\"x\\u001b[2J\",\"detail\":\"a\\u001b[31mb\\nc\","
      "\"link\":\"javascript:alert(1)\",\"status\":\"x\",\"subproblems\":{}},\"retry_at\":5}'");
  const auto answer = script.acme.order({.csr = "c", .names = {"a.example"}});
  REQUIRE_FALSE(answer);
  CHECK(answer.error().detail.find('\x1b') == std::string::npos);
  CHECK(answer.error().detail.find('\n') == std::string::npos);
  CHECK(answer.error().type.find('\x1b') == std::string::npos);
  CHECK(answer.error().link.empty());
  CHECK_FALSE(answer.error().retry_ms);
}

TEST_CASE("no engine is one failure that says what to install (tls 32)") {
  Script script("true");
  script.config.tls.engine = "none";
  CHECK(says(script.order(), "the ACME engine 'none' is not installed: it comes with the package"));
}

TEST_CASE("the engine gets its question on standard input, and no key (tls 32)") {
  ::setenv("HTTPS_PROXY", "http://proxy.test:3128", 1);
  Script script(
      "cat >\"$0.in\"; echo $HTTPS_PROXY >\"$0.proxy\"; echo '{\"ok\":true,\"chain\":\"x\"}'");
  CHECK(script.order() == "ok");
  const auto in =
      must(os::real_disk().read(script.dir.path + "/hooks/acme/bad/engine.in", 1 << 20));
  ::unsetenv("HTTPS_PROXY");
  CHECK(must(os::real_disk().read(script.dir.path + "/hooks/acme/bad/engine.proxy", 100)) ==
      "http://proxy.test:3128\n");
  CHECK(says(in, "\"deadline\":1"));
  CHECK(says(in, "\"directory\":\"https://ca.test/dir\""));
}
