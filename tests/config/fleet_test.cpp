#include "config/fleet.hpp"

#include "config/host.hpp"

#include "catch.hpp"

using namespace chillbox;
using namespace chillbox::config;

namespace {

constexpr std::string_view k_whole = R"([fleet]
engine = "etcd"
endpoints = ["https://10.0.0.1:2379", "https://[2001:db8::1]:2379", "https://etcd3.example:2379"]
ca_file = "/etc/chillbox/fleet/ca.crt"
certificate_file = "/etc/chillbox/fleet/host.crt"
key_file = "/etc/chillbox/fleet/host.key"
user = "shop"
password_file = "/etc/chillbox/fleet/password"
)";

std::string problem_of(std::string text) {
  const auto read = parse_host_config(text, "chillboxd.toml");
  return read ? "" : read.error().message;
}

} // namespace

TEST_CASE("without [fleet] there is no engine; with it all of it is needed") {
  CHECK_FALSE(parse_host_fleet("", "chillboxd.toml").value().on());
  const auto fleet = parse_host_fleet(k_whole, "chillboxd.toml");
  REQUIRE(fleet);
  CHECK(fleet->on());
  CHECK(fleet->endpoints.size() == 3);
  CHECK(fleet->user == "shop");
  CHECK(problem_of(std::string(k_whole)) == "");
  CHECK(problem_of("[fleet]\nengine = \"etcd\"\n") ==
      "chillboxd.toml:1: fleet: needs endpoints, ca_file, certificate_file, key_file, user, password_file, too: chillboxctl fleet init writes the section");
}

TEST_CASE("an endpoint is an https address with a port, and nothing else") {
  CHECK(parse_endpoint("https://10.0.0.1:2379").value() == EngineEndpoint{"10.0.0.1", 2379});
  CHECK(parse_endpoint("https://[2001:db8::1]:1").value() == EngineEndpoint{"2001:db8::1", 1});
  for (const std::string_view bad : {"http://10.0.0.1:2379", "https://10.0.0.1", "https://:1",
           "https://a:0", "https://a:65536", "https://a:1/", "https://a:1/v3", "https://u@a:1",
           "https://A:1", "https://[::1]", "https://-a:1", "a:1", "", "https://a:1 "}) {
    INFO(bad);
    CHECK_FALSE(parse_endpoint(bad));
  }
}

TEST_CASE("the engine's user is named like a fleet, because it is in a path of keys") {
  std::string text(k_whole);
  text.replace(text.find("\"shop\""), 6, "\"a/b\"");
  CHECK(problem_of(text).starts_with("chillboxd.toml:7: fleet.user: "));
  std::string other(k_whole);
  other.replace(other.find("\"etcd\""), 6, "\"nats\"");
  CHECK(problem_of(other).starts_with("chillboxd.toml:2: fleet.engine: "));
}
