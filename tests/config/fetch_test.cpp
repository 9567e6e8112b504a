#include "config/fetch.hpp"
#include "config/host.hpp"

#include "base/text.hpp"

#include "catch.hpp"

using namespace chillbox;
using namespace chillbox::config;

TEST_CASE("sources are plain addresses: no user, query, escape or way upwards") {
  const auto takes = [](std::string_view url) {
    return parse_host_config(cat("[fetch]\nfrom = [\"", url, "\"]\n"), "f").has_value();
  };
  for (const char* good : {"https://s3.example", "https://s3.example:9000/bucket/pre.fix",
           "http://10.0.0.1/a/b-c_d", "https://s3.eu-central-1.amazonaws.com/bucket"})
    CHECK(takes(good));
  for (const char* bad : {"", "ftp://s3.example/x", "https://", "https://user@host/x",
           "https://user:pass@host/x", "https://host/x?y", "https://host/x#y", "https://host/%2e",
           "https://host/../x", "https://host/x/", "https://host//x", "file:///etc", "https:///x",
           "https://host/a b", "https://[::1]/x", "https://-host/x", "s3://bucket/x"}) {
    INFO(bad);
    CHECK_FALSE(takes(bad));
  }
}

TEST_CASE("[fetch] alone is read of the file, and nothing is fetched without it") {
  const auto none = parse_host_fetch("[host]\nserver_name = \"web1\"\n", "f");
  REQUIRE(none);
  CHECK(none->from.empty());
  CHECK_FALSE(none->private_addresses);
  const auto some = parse_host_fetch("[fetch]\nfrom = [\"https://a/b\", \"http://c\"]\ntimeout = "
                                     "\"5m\"\nproxy = \"http://10.0.0.1:3128\"\nprivate_addresses "
                                     "= true\ncredentials = \"/etc/chillbox/x\"\n",
      "f");
  REQUIRE(some);
  CHECK(some->from == std::vector<std::string>{"https://a/b", "http://c"});
  CHECK(some->timeout == std::chrono::minutes(5));
  CHECK(some->private_addresses);
  CHECK_FALSE(parse_host_fetch("[fetch]\nproxy = \"10.0.0.1\"\n", "f"));
  CHECK_FALSE(parse_host_fetch("[fetch]\nredirects = true\n", "f"));
}
