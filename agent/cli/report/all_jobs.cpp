#include "cli/report/all_jobs.hpp"

#include "cli/core/daemon.hpp"

#include <algorithm>
#include <set>

namespace chillbox::cli {

Result<std::vector<control::Job>> all_jobs(
    Call& call, const std::string& site, Period period, uint64_t most) {
  const uint64_t at_once = std::min<uint64_t>(1000, most);
  std::vector<control::Job> jobs;
  std::set<std::string> seen;
  for (;;) {
    const auto at = [](int64_t ms) { return static_cast<uint64_t>(std::max<int64_t>(ms, 0)); };
    const Question question{.verb = "jobs",
        .args = {.site = site,
            .limit = at_once,
            .since_ms = at(period.since_ms),
            .until_ms = at(period.until_ms)}};
    auto list = TRY(
        control::read_answer<control::JobList>(TRY(ask(call.paths, question, &call.error_data))));
    const size_t before = jobs.size();
    for (auto& job : list.jobs)
      if (seen.insert(job.id).second)
        jobs.push_back(std::move(job));
    if (list.jobs.size() < at_once || jobs.size() == before || jobs.size() >= most)
      return jobs;
    period.until_ms = jobs.back().created_ms; // others may be of the same millisecond
  }
}

} // namespace chillbox::cli
