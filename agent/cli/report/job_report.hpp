// Who deployed what, how long it took and how often it failed: the jobs of a time, and their sums.
#pragma once

#include "control/job_report.hpp"

#include <string>
#include <vector>

namespace chillbox::cli {

using control::JobReport;
using control::JobSum;

// That it ended without what was asked for: not that another one took its place.
bool has_failed(const control::Job& job);
std::vector<JobSum> sums_of(const std::vector<control::Job>& jobs);
// A head and a line for each job (RFC 4180). What a spreadsheet would take for a formula begins
// with an apostrophe.
std::string csv_of(const std::vector<control::Job>& jobs);

} // namespace chillbox::cli
