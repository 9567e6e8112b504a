#include "cli/core/duration.hpp"

#include "base/text.hpp"
#include "base/time.hpp"

#include <array>
#include <ctime>
#include <limits>
#include <optional>

namespace chillbox::cli {
namespace {

using std::chrono::milliseconds;

struct Unit {
  std::string_view name;
  uint64_t ms;
};
constexpr std::array k_units{Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000},
    Unit{"h", 3'600'000}, Unit{"d", k_day_ms}, Unit{"", 1000}};

// Exactly `digits` decimal digits at `at`.
std::optional<int> digits_at(std::string_view text, size_t at, size_t digits) {
  int value = 0;
  for (size_t i = at; i < at + digits; ++i) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9')
      return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

// "YYYY-MM-DD" alone or with "THH:MM:SSZ".
std::optional<int64_t> parse_date(std::string_view text) {
  const auto y = digits_at(text, 0, 4), m = digits_at(text, 5, 2), d = digits_at(text, 8, 2);
  if (!y || !m || !d || text[4] != '-' || text[7] != '-')
    return std::nullopt;
  const std::chrono::year_month_day day{std::chrono::year(*y),
      std::chrono::month(static_cast<unsigned>(*m)), std::chrono::day(static_cast<unsigned>(*d))};
  if (!day.ok())
    return std::nullopt;
  const int64_t midnight = std::chrono::sys_days(day).time_since_epoch().count() * 86'400;
  if (text.size() == 10)
    return midnight + 86'400;
  const auto hour = digits_at(text, 11, 2), minute = digits_at(text, 14, 2),
             second = digits_at(text, 17, 2);
  if (text.size() != 20 || text[10] != 'T' || text[13] != ':' || text[16] != ':' ||
      text[19] != 'Z' || !hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 59)
    return std::nullopt;
  return midnight + *hour * 3600 + *minute * 60 + *second;
}

} // namespace

Result<milliseconds> parse_duration(std::string_view text) {
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9')
    ++digits;
  const auto count = parse_u64(text.substr(0, digits));
  for (const Unit& unit : k_units)
    if (count && text.substr(digits) == unit.name && *count <= 366 * uint64_t{k_day_ms} / unit.ms)
      return milliseconds(*count * unit.ms);
  return fail(Code::usage,
      cat("'", printable(text, 40),
          "' is not a duration: write 500ms, 90s, 2m, 1h or 7d, at most 366d"));
}

Result<int64_t> parse_moment(std::string_view text, int64_t now) {
  if (const auto date = parse_date(text))
    return *date;
  if (const auto duration = parse_duration(text))
    return now + duration->count() / 1000;
  return fail(Code::usage,
      cat("'", printable(text, 40),
          "' is not a moment: write 30d, 2026-11-20 or 2026-11-20T17:33:34Z"));
}

std::string format_time(int64_t unix_ms) {
  if (unix_ms <= 0)
    return "";
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm parts{};
  std::array<char, 32> text{};
  if (::localtime_r(&seconds, &parts) == nullptr)
    return "";
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts)};
}

std::string format_age(int64_t unix_ms, int64_t now_ms) {
  const int64_t seconds = (now_ms > unix_ms ? now_ms - unix_ms : unix_ms - now_ms) / 1000;
  const std::string span = seconds < 60 ? cat(seconds, " s")
      : seconds < 3600                  ? cat(seconds / 60, " min")
      : seconds < 2 * 86'400            ? cat(seconds / 3600, " h")
                                        : cat(seconds / 86'400, " days");
  return unix_ms > now_ms + 999 ? cat("in ", span) : cat(span, " ago");
}

std::string format_when(int64_t unix_ms, int64_t now_ms) {
  if (unix_ms <= 0)
    return "";
  const bool near = now_ms - unix_ms < 86'400'000 && unix_ms - now_ms < 86'400'000;
  const std::string text = format_time(unix_ms);
  return cat(near ? text.substr(11) : text.substr(0, 10), ", ", format_age(unix_ms, now_ms));
}

std::string format_duration(milliseconds time) {
  const auto ms = time.count() < 0 ? 0 : time.count();
  const auto s = ms / 1000;
  if (s < 10)
    return cat(s, '.', ms % 1000 / 100, " s");
  if (s < 60)
    return cat(s, " s");
  if (s < 3600)
    return cat(s / 60, " min ", s % 60, " s");
  if (s < 86'400)
    return cat(s / 3600, " h ", s % 3600 / 60, " min");
  return cat(s / 86'400, " d ", s % 86'400 / 3600, " h");
}

} // namespace chillbox::cli
