#include "cli/report/all_jobs.hpp"

#include "cli/core/daemon.hpp"

#include <algorithm>
#include <set>

namespace chillbox::cli {

Result<std::vector<control::Job>> all_jobs(
    const AskForJobs& ask, Period period, uint64_t most, uint64_t page) {
  const uint64_t at_once = std::min(page, most);
  std::vector<control::Job> jobs;
  std::set<std::string> seen;
  for (;;) {
    auto list = TRY(ask(period, at_once));
    const size_t before = jobs.size();
    for (auto& job : list.jobs)
      if (seen.insert(job.id).second)
        jobs.push_back(std::move(job));
    if (list.jobs.size() < at_once || jobs.size() == before || jobs.size() >= most)
      return jobs;
    period.until_ms = jobs.back().created_ms; // others may be of the same millisecond
  }
}

Result<std::vector<control::Job>> all_jobs(
    Call& call, const std::string& site, Period period, uint64_t most) {
  const auto at = [](int64_t ms) { return static_cast<uint64_t>(std::max<int64_t>(ms, 0)); };
  return all_jobs(
      [&](const Period& asked, uint64_t limit) -> Result<control::JobList> {
        const Question question{.verb = "jobs",
            .args = {.site = site,
                .limit = limit,
                .since_ms = at(asked.since_ms),
                .until_ms = at(asked.until_ms)}};
        return control::read_answer<control::JobList>(
            TRY(ask(call.paths, question, &call.error_data)));
      },
      period, most);
}

} // namespace chillbox::cli
