// Facts as metrics, and who may read them.
#include "catch.hpp"

#include "base/text.hpp"
#include "crypto/hash.hpp"
#include "daemon/metrics.hpp"
#include "daemon/metrics_tokens.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

using namespace chillbox;
using namespace chillbox::daemon;
using control::MetricsFormat;

namespace {

rollout::Facts facts_of(int sites) {
  rollout::Facts facts;
  facts.agent.version = "1.0";
  for (int i = 0; i < sites; ++i) {
    rollout::SiteFacts site(*SiteName::parse(cat("site", i)));
    site.state = control::SiteState::live;
    site.live_ms = 1;
    rollout::ServiceFacts web{.name = "web", .usage = {}, .accept_queue = 3};
    web.state = control::ServiceState::started;
    web.usage = {.cpu_us = 1'500'000, .memory = 1, .memory_limit = 2, .oom_kills = 0, .tasks = 4};
    site.services.push_back(web);
    nginx::RequestCounts requests;
    for (uint16_t code = 0; code < nginx::k_counted_codes; ++code)
      requests.codes[static_cast<uint16_t>(code + 200)] = 1;
    requests.other_codes = 1;
    requests.seconds.add(0.1);
    requests.upstream_seconds.add(0.1);
    requests.cache.fill(1);
    site.counts.services["web"] = requests;
    facts.sites.push_back(site);
  }
  return facts;
}

size_t lines(const std::string& text, std::string_view with) {
  size_t found = 0;
  for (const auto line : split(text, '\n'))
    found += !line.starts_with('#') && line.find(with) != std::string_view::npos ? 1 : 0;
  return found;
}

struct Dir {
  Dir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "chillbox-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~Dir() { std::filesystem::remove_all(path); }
  std::string path;
};

} // namespace

TEST_CASE("a service has 120 series at most, however busy it is") {
  const auto text = render_metrics(facts_of(1), MetricsFormat::text, 20'000);
  CHECK(lines(text, "service=\"web\"") <= 120);
  CHECK(text.find("chillbox_service_cpu_seconds_total{site=\"site0\",service=\"web\"} 1.5\n") !=
      std::string::npos);
  CHECK(text.find("code=\"other\"} 1\n") != std::string::npos);
}

TEST_CASE("[fault-717] with more series than metrics.series_max those of sites are left out, and counted") {
  const auto all = render_metrics(facts_of(3), MetricsFormat::text, 20'000);
  CHECK(lines(all, "site=\"site2\"") > 0);
  const auto few = render_metrics(facts_of(3), MetricsFormat::openmetrics, 100);
  CHECK(lines(few, "site=") == 0);
  CHECK(few.ends_with("# EOF\n"));
  const size_t left_out = lines(all, "") - lines(few, "");
  CHECK(few.find(cat("chillbox_metrics_left_out ", left_out, "\n")) != std::string::npos);
}

TEST_CASE("[attack-F2] of a token the host has the SHA-256 alone, and what was removed opens nothing") {
  const Dir dir;
  const os::Paths paths{dir.path};
  MetricsTokens tokens(os::real_disk(), paths);
  CHECK_FALSE(tokens.admits(""));
  CHECK_FALSE(tokens.admits("x"));
  const auto token = tokens.add("prometheus", 5'000);
  REQUIRE(token);
  CHECK(token->size() >= 40);
  const std::string file = paths.etc() + "/metrics/prometheus";
  const auto kept = os::real_disk().read(file, 1000);
  REQUIRE(kept);
  CHECK(kept->find(*token) == std::string::npos);
  CHECK(kept->starts_with(crypto::sha256_of(bytes_of(*token)).str()));
  struct stat st{};
  REQUIRE(::stat(file.c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0600);
  CHECK(tokens.admits(*token));
  CHECK_FALSE(tokens.admits(token->substr(1)));
  CHECK_FALSE(tokens.admits(crypto::sha256_of(bytes_of(*token)).str())); // what is kept is no token
  CHECK(tokens.add("prometheus", 6'000).error().code == Code::conflict);
  for (const char* bad : {"", "../x", "a/b", ".x"})
    CHECK_FALSE(tokens.add(bad, 1));
  const auto list = tokens.list();
  REQUIRE(list);
  REQUIRE(list->size() == 1);
  CHECK(list->at(0).created_ms == 5'000);
  REQUIRE(os::real_disk().write(paths.etc() + "/metrics/broken", "", 0600));
  CHECK_FALSE(tokens.admits("")); // an empty file is nobody's token
  CHECK(tokens.admits(*token));
  REQUIRE(tokens.remove("prometheus"));
  CHECK_FALSE(tokens.admits(*token));
  CHECK(tokens.remove("prometheus").error().code == Code::not_found);
}
