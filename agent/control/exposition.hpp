// Numbers as monitoring systems read them: OpenMetrics 1.0, or the older text format 0.0.4 of
// Prometheus. Families come one after the other, each with all its samples; a name, label or value
// that would break a line is escaped. Our own, because the one library that there is brings an HTTP
// server with it and is not in Alpine; both formats are checked by parsers of others
// (bats/metrics.bats).
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace chillbox::control {

enum class MetricsFormat { text, openmetrics };
// For Content-Type.
std::string_view media_type(MetricsFormat format);
// What a reader prefers, by its Accept header; text when it does not say.
MetricsFormat preferred_format(std::string_view accept);

enum class MetricKind { counter, gauge, info, summary, histogram };
using Label = std::pair<std::string_view, std::string_view>;
using Labels = std::initializer_list<Label>;

class Exposition {
public:
  explicit Exposition(MetricsFormat format) : m_format(format) {}
  // name: without _total or _info, which a counter and an info get. Nothing is written of a family
  // that has no sample.
  void family(std::string_view name, MetricKind kind, std::string_view help);
  void sample(Labels labels, double value);
  template <std::unsigned_integral T> void sample(Labels labels, T value) {
    line(suffix(), labels, {}, std::to_string(value));
  }
  // Milliseconds since 1970, as seconds.
  void time(Labels labels, int64_t ms);
  void info(Labels labels) { sample(labels, uint64_t{1}); }
  void summary(Labels labels, uint64_t count, double sum);
  // counts: of each bucket alone, one more than bounds.
  void histogram(
      Labels labels, std::span<const double> bounds, std::span<const uint64_t> counts, double sum);
  uint64_t series() const { return m_series; } // lines that are samples
  std::string finish() &&;

private:
  std::string_view suffix() const;
  void line(std::string_view end, Labels labels, Label more, std::string_view value);
  void begin();
  std::string number(double value) const;

  MetricsFormat m_format;
  std::string m_out, m_name, m_help;
  MetricKind m_kind = MetricKind::gauge;
  bool m_begun = true;
  uint64_t m_series = 0;
};

} // namespace chillbox::control
