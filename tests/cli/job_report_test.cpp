#include "cli/report/all_jobs.hpp"
#include "cli/report/job_report.hpp"

#include "catch.hpp"

#include "base/text.hpp"

using namespace chillbox;
using namespace chillbox::cli;

namespace {

constexpr int64_t k_report_now = 1'796'032'800'000, k_hour = 3'600'000;

control::Job job(const std::string& actor, control::JobState state, int64_t took_ms,
    const std::string& message = "", const std::string& site = "blog") {
  control::Job job{.site = SiteName::parse(site).value()};
  job.id = "0123456789abcdef";
  job.kind = control::JobKind::deploy;
  job.version = "1.0.0";
  job.actor = actor;
  job.state = state;
  job.created_ms = k_report_now - 2 * k_hour;
  job.started_ms = job.created_ms + 500;
  job.finished_ms = job.started_ms + took_ms;
  job.message = message;
  return job;
}

using control::JobState;

} // namespace

TEST_CASE("sums are by site, kind and who asked: how many, how many failed, and how long those took that were done") {
  const auto sums = sums_of({job("kim", JobState::done, 1000), job("kim", JobState::done, 3000),
      job("kim", JobState::done, 2000), job("kim", JobState::failed, 90'000),
      job("lou", JobState::failed, 1), job("lou", JobState::running, 0),
      job("lou", JobState::superseded, 5)});
  REQUIRE(sums.size() == 2);
  CHECK(sums[0].actor == "kim");
  CHECK(sums[0].jobs == 4);
  CHECK(sums[0].failed == 1);
  CHECK(sums[0].median_ms == 2000);
  CHECK(sums[0].longest_ms == 3000);
  CHECK(sums[1].jobs == 2);
  CHECK(sums[1].failed == 1);
  CHECK(sums[1].median_ms == 0);
}

TEST_CASE("a line of CSV for each job: quotes are doubled, no field is a formula, no line is broken [attack-F13]") {
  const std::string csv =
      csv_of({job("=cmd|' /C calc'!A0", JobState::failed, 1500, "a \"b\",\nc")});
  const auto lines = split(csv, '\n');
  REQUIRE(lines.size() == 3); // a head, the job, the end
  CHECK(lines[0].starts_with("job,site,kind,version,by,state,code,created,"));
  CHECK(lines[1].contains("\"blog\",deploy,\"1.0.0\",\"'=cmd|' /C calc'!A0\",failed,"));
  CHECK(lines[1].contains(",0.500,1.500,0.000,\"a \"\"b\"\",\\x0ac\""));
}

TEST_CASE("[fault-1100] a history longer than one answer is asked for in pages, and each job comes once") {
  control::JobList all; // newest first; three have the same time
  for (int n = 450; n > 0; --n) {
    all.jobs.push_back(job("kim", JobState::done, 1));
    all.jobs.back().id = std::to_string(n);
    all.jobs.back().created_ms = n / 3 * 1000;
  }
  size_t asked = 0;
  const AskForJobs ask = [&](const Period& period, uint64_t limit) -> Result<control::JobList> {
    ++asked;
    control::JobList list;
    for (const auto& one : all.jobs)
      if (one.created_ms <= period.until_ms && list.jobs.size() < limit)
        list.jobs.push_back(one);
    return list;
  };
  const auto jobs = all_jobs(ask, {}, 10'000, 200);
  REQUIRE(jobs);
  REQUIRE(jobs->size() == 450);
  CHECK(jobs->front().id == "450");
  CHECK(jobs->back().id == "1");
  CHECK(asked == 3);
  CHECK(all_jobs(ask, {}, 10'000, 450)->size() == 450);
  CHECK(all_jobs(ask, {}, 100, 200)->size() == 100);
}
