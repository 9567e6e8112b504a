// Links to the report: they open it until they are over or revoked, on the host that made them.
#include "daemon/metrics_tokens.hpp"
#include "daemon/report_links.hpp"

#include "catch.hpp"

#include "base/text.hpp"
#include "os/paths.hpp"

#include <unistd.h>

#include <barrier>
#include <filesystem>
#include <thread>

using namespace chillbox;
using namespace chillbox::daemon;

namespace {

struct LinksHost {
  explicit LinksHost(const char* name)
      : paths{.root = cat("/tmp/chillbox-links-", ::getpid(), "-", name)} {
    std::filesystem::create_directories(paths.state());
  }
  ~LinksHost() { std::filesystem::remove_all(paths.root); }
  ReportLinks links() const { return {os::real_disk(), paths}; }
  os::Paths paths;
};

} // namespace

TEST_CASE("[attack-F16] a link opens the report until its time, and no other text does") {
  const LinksHost host("a"), other("b");
  CHECK_FALSE(host.links().admits("", 0));
  CHECK_FALSE(host.links().admits("2000.", 0));
  const auto link = host.links().make(2000).value();
  CHECK(host.links().admits(link, 1999));
  CHECK_FALSE(host.links().admits(link, 2000));
  CHECK_FALSE(host.links().admits(link, -1));
  CHECK_FALSE(other.links().admits(link, 1999));
  (void)other.links().make(2000).value();
  CHECK_FALSE(other.links().admits(link, 1999));
  const auto mac = link.substr(link.find('.'));
  for (const std::string& bad : {"3000" + mac, "02000" + mac, "2000" + mac.substr(0, 20),
           link + "0", mac, link.substr(0, 5), std::string("2000"), link + "." + link})
    CHECK_FALSE(host.links().admits(bad, 1999));
}

TEST_CASE("[fault-862] revoked links stay so after the next one is made, and an empty secret signs nothing") {
  const LinksHost host("c");
  const auto link = host.links().make(2000).value();
  CHECK(host.links().make(2000).value() == link);
  REQUIRE(host.links().revoke());
  CHECK_FALSE(host.links().admits(link, 1));
  const auto again = host.links().make(2000).value();
  CHECK_FALSE(host.links().admits(link, 1));
  CHECK(host.links().admits(again, 1));
  REQUIRE(host.links().revoke());
  REQUIRE(host.links().revoke());
  REQUIRE(os::real_disk().write(host.paths.state() + "/report_links", "", 0600));
  CHECK(host.links().make(2000).error().code == Code::corrupt);
}

TEST_CASE("[fault-1112] of first links that are made at once each opens the report, and of tokens of one name there is one") {
  constexpr int k_at_once = 8;
  const LinksHost host("d");
  std::vector<Result<std::string>> links(k_at_once, std::string()), tokens = links;
  std::barrier start(k_at_once);
  {
    std::vector<std::jthread> makers;
    for (size_t i = 0; i < k_at_once; ++i)
      makers.emplace_back([&, i] {
        start.arrive_and_wait();
        links[i] = host.links().make(2000);
        start.arrive_and_wait();
        tokens[i] = MetricsTokens(os::real_disk(), host.paths).add("grafana", 1);
      });
  }
  for (const auto& link : links)
    CHECK(host.links().admits(link.value(), 1));
  CHECK(std::ranges::count_if(tokens, [](const auto& token) { return token.has_value(); }) == 1);
}
