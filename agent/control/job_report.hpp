// Who deployed what, how long it took and how often it failed: the jobs of a time, and their sums.
#pragma once

#include "control/messages.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace chillbox::control {

struct JobSum { // of the jobs of a kind that one has asked for on a site
  std::string site, kind, actor;
  uint64_t jobs = 0, failed = 0;         // that have ended
  int64_t median_ms = 0, longest_ms = 0; // from start to end, of those that were done
};
struct JobReport {
  int64_t since_ms = 0, until_ms = 0;
  std::vector<JobSum> sums;
  std::vector<Job> jobs; // newest first
};

} // namespace chillbox::control
