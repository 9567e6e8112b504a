// Charts of a week by the hour, as inline SVG of one style sheet (report_html.cpp).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

struct ChartLine {
  std::string_view css;       // its class: "req", "err", "line"
  std::vector<double> values; // one an hour, the newest last
  bool filled = false;
};
struct ChartMark {
  size_t hour = 0;  // index into the values
  std::string text; // shown when it is pointed at
  bool bad = false;
};

// All lines on one scale, from 0 to their greatest value; "" when that is 0.
std::string chart(std::string_view title, std::string_view greatest,
    const std::vector<ChartLine>& lines, const std::vector<ChartMark>& marks);

} // namespace chillbox::cli
