#include "cli/report/report_chart.hpp"

#include "base/text.hpp"
#include "cli/report/report_html.hpp"

#include <algorithm>
#include <cmath>

namespace chillbox::cli {
namespace {

constexpr int k_height = 40;

int level(double value, double most) {
  return k_height - static_cast<int>(std::lround(std::min(value / most, 1.0) * k_height));
}

// Steps, of which equal ones are one: "M0 40V12h3V40h165".
std::string path(const ChartLine& line, double most) {
  std::string out = cat("M0 ", line.filled ? k_height : level(line.values[0], most));
  for (size_t i = 0; i < line.values.size();) {
    const int y = level(line.values[i], most);
    size_t end = i + 1;
    while (end < line.values.size() && level(line.values[end], most) == y)
      ++end;
    out += cat("V", y, "h", end - i);
    i = end;
  }
  if (line.filled)
    out += cat("V", k_height, "z");
  return out;
}

} // namespace

std::string chart(std::string_view title, std::string_view greatest,
    const std::vector<ChartLine>& lines, const std::vector<ChartMark>& marks) {
  double most = 0;
  size_t width = 0;
  for (const auto& line : lines) {
    width = std::max(width, line.values.size());
    for (const double value : line.values)
      most = std::max(most, value);
  }
  if (most <= 0)
    return "";
  std::string svg = cat("<figure><figcaption>", html_escaped(title), " <b>", html_escaped(greatest),
      "</b></figcaption><svg viewBox=\"0 0 ", width, " ", k_height,
      "\" preserveAspectRatio=\"none\" role=\"img\"><title>", html_escaped(title), "</title>");
  for (const auto& line : lines)
    svg += cat("<path class=\"", line.css, "\" d=\"", path(line, most), "\"/>");
  for (const auto& mark : marks)
    svg += cat("<path class=\"", mark.bad ? "mark bad" : "mark", "\" d=\"M", mark.hour, " 0V",
        k_height, "\"><title>", html_escaped(mark.text), "</title></path>");
  return svg + "</svg></figure>";
}

} // namespace chillbox::cli
