#include "control/exposition.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace chillbox::control {
namespace {

constexpr std::string_view k_openmetrics = "application/openmetrics-text";

std::string_view name_of(MetricKind kind, MetricsFormat format) {
  switch (kind) {
  case MetricKind::counter: return "counter";
  case MetricKind::info: return format == MetricsFormat::openmetrics ? "info" : "gauge";
  case MetricKind::summary: return "summary";
  case MetricKind::histogram: return "histogram";
  case MetricKind::gauge: break;
  }
  return "gauge";
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c == '\n')
      out += "\\n";
    else if (c == '"' || c == '\\')
      (out += '\\') += c;
    else
      out += c;
  return out;
}

// Of one range of an Accept header: "type/sub;version=1.0.0;q=0.5".
struct Range {
  std::string type, version;
  double weight = 1;
};

Range range_of(std::string_view text) {
  Range range;
  for (const auto part : split(text, ';')) {
    const auto word = trim(part);
    if (range.type.empty())
      range.type = word;
    else if (word.starts_with("version="))
      range.version = word.substr(8);
    else if (word.starts_with("q="))
      (void)std::from_chars(word.data() + 2, word.data() + word.size(), range.weight);
  }
  return range;
}

} // namespace

std::string_view media_type(MetricsFormat format) {
  return format == MetricsFormat::openmetrics
      ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
      : "text/plain; version=0.0.4; charset=utf-8";
}

MetricsFormat preferred_format(std::string_view accept) {
  double open = 0, text = 0;
  for (const auto part : split(accept, ',')) {
    const auto range = range_of(part);
    if (range.type == k_openmetrics && (range.version.empty() || range.version == "1.0.0"))
      open = std::max(open, range.weight);
    else if (range.type == "text/plain" && (range.version.empty() || range.version == "0.0.4"))
      text = std::max(text, range.weight);
  }
  return open > 0 && open >= text ? MetricsFormat::openmetrics : MetricsFormat::text;
}

void Exposition::family(std::string_view name, MetricKind kind, std::string_view help) {
  m_name = name;
  m_kind = kind;
  m_help = help;
  m_begun = false;
}

std::string_view Exposition::suffix() const {
  return m_kind == MetricKind::counter ? "_total" : m_kind == MetricKind::info ? "_info" : "";
}

// The older format knows a family by the name of its samples.
void Exposition::begin() {
  if (m_begun)
    return;
  m_begun = true;
  const std::string name =
      cat(m_name, m_format == MetricsFormat::text ? suffix() : std::string_view());
  m_out +=
      cat("# HELP ", name, " ", m_help, "\n# TYPE ", name, " ", name_of(m_kind, m_format), "\n");
}

void Exposition::line(std::string_view end, Labels labels, Label more, std::string_view value) {
  begin();
  (m_out += m_name) += end;
  char before = '{';
  const auto add = [&](const Label& label) {
    ((((m_out += before) += label.first) += "=\"") += escaped(label.second)) += '"';
    before = ',';
  };
  for (const auto& label : labels)
    add(label);
  if (!more.first.empty())
    add(more);
  if (before == ',')
    m_out += '}';
  ((m_out += ' ') += value) += '\n';
  ++m_series;
}

// The shortest text that reads back as the same; a bound of OpenMetrics has a point.
std::string Exposition::number(double value) const {
  if (std::isinf(value))
    return value > 0 ? "+Inf" : "-Inf";
  if (std::isnan(value))
    return "NaN";
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

void Exposition::sample(Labels labels, double value) {
  line(suffix(), labels, {}, number(value));
}

void Exposition::time(Labels labels, int64_t ms) {
  const auto part = std::to_string(1000 + ms % 1000);
  line(suffix(), labels, {}, cat(ms / 1000, ".", part.substr(1)));
}

void Exposition::summary(Labels labels, uint64_t count, double sum) {
  line("_count", labels, {}, std::to_string(count));
  line("_sum", labels, {}, number(sum));
}

void Exposition::histogram(
    Labels labels, std::span<const double> bounds, std::span<const uint64_t> counts, double sum) {
  uint64_t below = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    below += counts[i];
    std::string bound = i < bounds.size() ? number(bounds[i]) : std::string("+Inf");
    if (m_format == MetricsFormat::openmetrics && bound.find_first_of(".I") == std::string::npos)
      bound += ".0";
    line("_bucket", labels, {"le", bound}, std::to_string(below));
  }
  line("_count", labels, {}, std::to_string(below));
  line("_sum", labels, {}, number(sum));
}

std::string Exposition::finish() && {
  if (m_format == MetricsFormat::openmetrics)
    m_out += "# EOF\n";
  return std::move(m_out);
}

} // namespace chillbox::control
