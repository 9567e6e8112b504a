// The report of a host as one HTML file: it loads nothing, has no script, and says so to the
// browser; all text in it is escaped.
#pragma once

#include "control/full_status.hpp"
#include "control/hours.hpp"
#include "control/usage.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

struct ReportFacts {
  int64_t now_ms = 0;
  control::FullStatus status;
  control::Usage usage;
  control::Hours hours;
  std::vector<control::Job> jobs; // of the last week, newest first
};

inline constexpr int64_t k_report_hours = 168;

std::string report_html(const ReportFacts& facts);
std::string html_escaped(std::string_view text);

} // namespace chillbox::cli
