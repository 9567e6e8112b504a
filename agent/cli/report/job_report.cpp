#include "cli/report/job_report.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace chillbox::cli {
namespace {

using control::JobState;

std::string field(std::string_view text) {
  std::string out = "\"";
  if (!text.empty() && std::string_view("=+-@\t\r").contains(text.front()))
    out += '\'';
  for (const char c : printable(text, 2000)) {
    out += c;
    if (c == '"')
      out += c;
  }
  return out + '"';
}

std::string time_field(int64_t ms) {
  return ms <= 0 ? "" : rfc3339(ms / 1000);
}

int64_t took(const control::Job& job) {
  return job.started_ms > 0 && job.finished_ms > job.started_ms ? job.finished_ms - job.started_ms
                                                                : 0;
}

std::string seconds(int64_t ms) {
  const std::string rest = std::to_string(ms % 1000);
  return cat(ms / 1000, ".", std::string(3 - rest.size(), '0'), rest);
}

} // namespace

bool has_failed(const control::Job& job) {
  return job.state == JobState::failed;
}

std::vector<JobSum> sums_of(const std::vector<control::Job>& jobs) {
  std::map<std::tuple<std::string, std::string, std::string>, JobSum> sums;
  std::map<const JobSum*, std::vector<int64_t>> times;
  for (const auto& job : jobs) {
    if (is_open(job.state))
      continue;
    const std::string kind(name(job.kind));
    JobSum& sum = sums[{job.site.str(), kind, job.actor}];
    sum.site = job.site.str();
    sum.kind = kind;
    sum.actor = job.actor;
    ++sum.jobs;
    if (has_failed(job))
      ++sum.failed;
    else if (job.state == JobState::done)
      times[&sum].push_back(took(job));
  }
  std::vector<JobSum> all;
  for (auto& [key, sum] : sums) {
    if (auto& of = times[&sum]; !of.empty()) {
      std::ranges::sort(of);
      sum.median_ms = of[of.size() / 2];
      sum.longest_ms = of.back();
    }
    all.push_back(sum);
  }
  return all;
}

std::string csv_of(const std::vector<control::Job>& jobs) {
  std::string csv = "job,site,kind,version,by,state,code,created,started,finished,waited_s,took_s,"
                    "downtime_s,message\r\n";
  for (const auto& job : jobs) {
    const int64_t waited = job.started_ms > job.created_ms ? job.started_ms - job.created_ms : 0;
    csv += cat(field(job.id), ",", field(job.site.str()), ",", name(job.kind), ",",
        field(job.version), ",", field(job.actor), ",", name(job.state), ",",
        job.code ? code_name(*job.code) : "", ",", time_field(job.created_ms), ",",
        time_field(job.started_ms), ",", time_field(job.finished_ms), ",", seconds(waited), ",",
        seconds(took(job)), ",", seconds(job.gap_ms), ",", field(job.message), "\r\n");
  }
  return csv;
}

} // namespace chillbox::cli
