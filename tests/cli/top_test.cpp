#include "cli/core/table.hpp"
#include "cli/top/top_frame.hpp"

#include "catch.hpp"

#include "base/text.hpp"

using namespace chillbox;
using namespace chillbox::cli;

namespace {

constexpr int64_t k_start = 1'796'032'800'000;

control::SiteUsage site(const std::string& name, uint64_t requests, uint64_t errors = 0) {
  control::SiteUsage usage{.site = name,
      .state = control::SiteState::live,
      .version = "1.0.0",
      .requests = requests,
      .errors = errors,
      .times = {requests, 0, 0},
      .services = {}};
  usage.services.push_back({.name = "web",
      .state = control::ServiceState::started,
      .starts = 1,
      .cpu_us = requests * 1000,
      .memory = 36'000'000,
      .memory_limit = 100'000'000,
      .queue = 0});
  return usage;
}

control::Usage usage(int64_t at_ms, std::vector<control::SiteUsage> sites) {
  return {.time_ms = at_ms,
      .started_ms = k_start,
      .name = "web1.example",
      .version = "0.1.0",
      .load_percent = 42,
      .processors = 2,
      .memory_total = 512'000'000,
      .memory_available = 200'000'000,
      .disk_total = 20'000'000'000,
      .disk_available = 16'000'000'000,
      .uptime_s = 90'000,
      .bounds_ms = {100, 1000},
      .sites = std::move(sites)};
}

TopHost host(size_t sites) {
  TopHost host;
  for (const uint64_t moment : {0, 1}) {
    std::vector<control::SiteUsage> all;
    for (size_t i = 0; i < sites; ++i)
      all.push_back(site(cat("site", i), moment * 20 * (i + 1), moment * i));
    host.rates.add(usage(k_start + static_cast<int64_t>(moment) * 2000, std::move(all)));
  }
  return host;
}

std::string text_of(const std::vector<std::string>& lines) {
  return join(lines, "\n");
}

} // namespace

TEST_CASE("rates are what grew between two moments, of a chillboxd that was not started meanwhile") {
  HostRates rates;
  rates.add(usage(k_start, {site("blog", 100, 10)}));
  CHECK_FALSE(rates.sites()[0].per_second);
  rates.add(usage(k_start + 2000, {site("blog", 120, 11)}));
  REQUIRE(rates.sites()[0].per_second);
  CHECK(*rates.sites()[0].per_second == 10);
  CHECK(*rates.sites()[0].error_percent == 5);
  CHECK(*rates.sites()[0].cpu_percent == 1);
  CHECK(rates.sites()[0].history.back() == 2);
  rates.add(usage(k_start + 2000, {site("blog", 500)})); // the same moment again
  CHECK(*rates.sites()[0].per_second == 10);
  auto other = usage(k_start + 4000, {site("blog", 5)});
  other.started_ms = k_start + 3000;
  rates.add(other);
  CHECK_FALSE(rates.sites()[0].per_second);
}

TEST_CASE("the 95th of a hundred lies between the bounds of its bucket") {
  using control::percentile_95;
  CHECK_FALSE(percentile_95({0, 0, 0}, {100, 1000}));
  CHECK(*percentile_95({100, 0, 0}, {100, 1000}) == 95);
  CHECK(*percentile_95({90, 10, 0}, {100, 1000}) == 550);
  CHECK(*percentile_95({0, 0, 7}, {100, 1000}) == 1000);
}

TEST_CASE("[fault-731] a picture of any size fits: no line is wider, there are no more than lines, with and without colours and UTF-8") {
  const std::vector<TopHost> hosts{host(20)};
  for (const auto& [width, height] :
      {std::pair<size_t, size_t>{80, 24}, {20, 5}, {300, 80}, {1, 1}, {40, 2}})
    for (const bool utf8 : {false, true}) {
      const auto frame = top_frame(hosts, {.width = width, .height = height, .utf8 = utf8});
      INFO(width << "x" << height);
      CHECK(frame.size() <= height);
      for (const auto& line : frame)
        CHECK(columns_of(line) <= width);
      if (!utf8)
        for (const unsigned char c : text_of(frame))
          CHECK(c < 0x80);
    }
  const std::string normal = text_of(top_frame(hosts, {.width = 80, .height = 24}));
  for (const char* part : {"web1.example  unlocked  load 0.4/2  mem 312M/512M  disk 4.0G/20G",
           "SITE", "site0", "1.0.0", "web", "live", "36M"}) {
    INFO(normal);
    CHECK(normal.contains(part));
  }
  CHECK_FALSE(normal.contains('\x1b'));
  const std::string wide = text_of(top_frame(hosts, {.width = 300, .height = 80, .utf8 = true}));
  CHECK(wide.contains("QUEUE"));
  CHECK(wide.contains("█"));
  CHECK(text_of(top_frame(hosts, {.color = true})).contains("\x1b[32m"));
}

TEST_CASE("[fault-733] a hundred sites scroll, the longest name has room, no site says so") {
  const std::vector<TopHost> hosts{host(100)};
  size_t lines = 0;
  const auto first = top_frame(hosts, {.width = 80, .height = 24}, &lines);
  CHECK(lines == 102);
  CHECK(text_of(first).contains("site21 "));
  CHECK_FALSE(text_of(first).contains("site22 "));
  const auto last = top_frame(hosts, {.width = 80, .height = 24, .first = 1000});
  CHECK(last.size() == 24);
  CHECK(text_of(last).contains("site99 "));
  const auto busiest = top_frame(hosts, {.width = 80, .height = 24, .sort = TopSort::requests});
  CHECK(busiest[2].starts_with("site99 "));
  std::vector<TopHost> named{TopHost{}};
  named[0].rates.add(usage(k_start, {site(std::string(31, 'n'), 0)}));
  CHECK(text_of(top_frame(named, {.width = 200})).contains(std::string(31, 'n')));
  CHECK(text_of(top_frame({host(0)}, {})).contains("no site yet"));
}

TEST_CASE("[fault-732] a host that is lost keeps its last numbers, and says that and why") {
  TopHost lost = host(1);
  lost.name = "web2";
  lost.rates.lost("lost: \x1b[2J Connection closed");
  const std::string text = text_of(top_frame({host(1), lost, TopHost{.name = "web3"}}, {}));
  CHECK(text.contains("web2  unlocked"));
  CHECK(text.contains("! lost: \\x1b[2J Connection closed"));
  CHECK(text.contains("web3"));
}

TEST_CASE("a sparkline has its greatest value at the top and nothing where nothing was") {
  CHECK(sparkline({0, 1, 4, 8}, 4, true) == " ▁▄█");
  CHECK(sparkline({0, 1, 4, 8}, 4, false) == " .=#");
  CHECK(sparkline({0, 1, 4, 8}, 2, false) == "=#");
  CHECK(sparkline({0, 0}, 2, true) == "  ");
  CHECK(sparkline({}, 5, true).empty());
}
