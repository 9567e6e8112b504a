// The tables of control/job_report.hpp, for messages.cpp.
#pragma once

#include "control/job_report.hpp"
#include "control/members.hpp"

namespace chillbox::control {

constexpr auto table(const JobSum*) {
  using S = JobSum;
  return message("job_sum", "Jobs of a kind that one has asked for on a site.",
      Member{"site", &S::site, ""}, Member{"kind", &S::kind, ""}, Member{"actor", &S::actor, ""},
      Member{"jobs", &S::jobs, "that have ended"}, Member{"failed", &S::failed, ""},
      Member{"median_ms", &S::median_ms, "from start to end, of those that were done"},
      Member{"longest_ms", &S::longest_ms, ""});
}

constexpr auto table(const JobReport*) {
  using R = JobReport;
  return message("job_report", "", Member{"since_ms", &R::since_ms, ""},
      Member{"until_ms", &R::until_ms, ""}, Member{"sums", &R::sums, ""},
      Member{"jobs", &R::jobs, "newest first"});
}

} // namespace chillbox::control
