// [metrics] of chillboxd.toml, and who is in a network.
#include "catch.hpp"

#include "config/host.hpp"
#include "config/metrics.hpp"
#include "config/network.hpp"

using namespace chillbox;
using namespace chillbox::config;

TEST_CASE("addresses are in the networks that have them, in no other, and not in another family") {
  const auto in = [](std::string_view network, std::string_view address) {
    const auto parsed = Network::parse(network);
    REQUIRE(parsed);
    return parsed->contains(address);
  };
  CHECK(in("192.0.2.7", "192.0.2.7"));
  CHECK(in("192.0.2.7", "::ffff:192.0.2.7"));
  CHECK_FALSE(in("192.0.2.7", "192.0.2.8"));
  CHECK(in("10.0.0.0/8", "10.255.0.1"));
  CHECK_FALSE(in("10.0.0.0/8", "11.0.0.1"));
  CHECK(in("2001:db8::/33", "2001:db8:7fff::1"));
  CHECK_FALSE(in("2001:db8::/33", "2001:db8:8000::1"));
  CHECK(in("0.0.0.0/0", "203.0.113.9"));
  CHECK_FALSE(in("0.0.0.0/0", "2001:db8::1"));
  for (const char* none : {"", "unix:", "192.0.2.7, 10.0.0.1", "192.0.2", "x", "1.2.3.4 "})
    CHECK_FALSE(in("0.0.0.0/0", none));
  for (const char* bad : {"", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "a/8"})
    CHECK_FALSE(Network::parse(bad));
}

TEST_CASE("who may read the metrics is nobody, unless the file says so, and its mistakes are found") {
  const auto none = parse_host_metrics("[host]\nserver_name = \"_\"\n", "c.toml");
  REQUIRE(none);
  CHECK_FALSE(none->admits("127.0.0.1"));
  CHECK(none->series_max == 20'000);
  const std::string text = "[metrics]\nallow = [\"192.0.2.7\", \"10.0.0.0/8\"]\nseries_max = 500\n";
  const auto some = parse_host_metrics(text, "c.toml");
  REQUIRE(some);
  CHECK(some->admits("10.1.1.1"));
  CHECK_FALSE(some->admits("127.0.0.1"));
  CHECK(some->series_max == 500);
  CHECK(parse_host_config(text, "c.toml"));
  for (const char* bad : {"[metrics]\nallow = [\"10.0.0.1/8\"]\n", "[metrics]\nalow = []\n",
           "[metrics]\nseries_max = 5\n"}) {
    CHECK_FALSE(parse_host_config(bad, "c.toml"));
    CHECK_FALSE(parse_host_metrics(bad, "c.toml"));
  }
}
