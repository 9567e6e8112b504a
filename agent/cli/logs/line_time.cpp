#include "cli/logs/line_time.hpp"

#include "base/text.hpp"
#include "base/time.hpp"
#include "cli/core/duration.hpp"

#include <array>
#include <chrono>
#include <cstdlib>
#include <ctime>

namespace chillbox::cli {
namespace {

// Reads from the front of a text; what does not fit is no time.
class Reader {
public:
  explicit Reader(std::string_view text) : m_rest(text) {}

  bool take(std::string_view one_of) {
    if (m_rest.empty() || !one_of.contains(m_rest.front()))
      return false;
    m_rest.remove_prefix(1);
    return true;
  }
  bool take_text(std::string_view text) {
    if (!m_rest.starts_with(text))
      return false;
    m_rest.remove_prefix(text.size());
    return true;
  }
  std::optional<int> digits(size_t count) {
    int value = 0;
    if (m_rest.size() < count)
      return std::nullopt;
    for (const char c : m_rest.substr(0, count)) {
      if (c < '0' || c > '9')
        return std::nullopt;
      value = value * 10 + (c - '0');
    }
    m_rest.remove_prefix(count);
    return value;
  }
  std::optional<int> month() {
    constexpr std::string_view k_names = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const auto at = m_rest.size() < 3 ? std::string_view::npos : k_names.find(m_rest.substr(0, 3));
    if (at == std::string_view::npos || at % 3 != 0)
      return std::nullopt;
    m_rest.remove_prefix(3);
    return static_cast<int>(at / 3) + 1;
  }
  // ".123", ",123456"; 0 without one.
  int milliseconds() {
    if (!take(".,"))
      return 0;
    int value = 0, factor = 100;
    while (!m_rest.empty() && m_rest.front() >= '0' && m_rest.front() <= '9') {
      value += (m_rest.front() - '0') * factor;
      factor /= 10;
      m_rest.remove_prefix(1);
    }
    return value;
  }
  // "Z", "+01:00", " +0100" in minutes; nullopt: none.
  std::optional<int> zone() {
    const std::string_view before = m_rest;
    take(" ");
    if (take("Z"))
      return 0;
    const bool west = m_rest.starts_with('-');
    if (take("+-")) {
      const auto hours = digits(2);
      take(":");
      const auto minutes = hours ? digits(2) : std::nullopt;
      if (minutes && *hours < 24 && *minutes < 60)
        return (west ? -1 : 1) * (*hours * 60 + *minutes);
    }
    m_rest = before;
    return std::nullopt;
  }
  std::string_view rest() const { return m_rest; }

private:
  std::string_view m_rest;
};

struct ClockParts {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0;
  std::optional<int> zone; // minutes
};

bool read_clock(Reader& from, ClockParts& parts) {
  const auto hour = from.digits(2);
  const auto minute = hour && from.take(":") ? from.digits(2) : std::nullopt;
  const auto second = minute && from.take(":") ? from.digits(2) : std::nullopt;
  if (!second || *hour > 23 || *minute > 59 || *second > 60)
    return false;
  parts.hour = *hour;
  parts.minute = *minute;
  parts.second = *second;
  return true;
}

std::optional<int64_t> local_seconds(const ClockParts& p) {
  std::tm tm{};
  tm.tm_year = p.year - 1900;
  tm.tm_mon = p.month - 1;
  tm.tm_mday = p.day;
  tm.tm_hour = p.hour;
  tm.tm_min = p.minute;
  tm.tm_sec = p.second;
  tm.tm_isdst = -1;
  const std::time_t seconds = ::mktime(&tm);
  return seconds == -1 ? std::nullopt : std::optional<int64_t>(seconds);
}

std::optional<int64_t> ms_of(const ClockParts& p) {
  namespace ch = std::chrono;
  const ch::year_month_day day{ch::year(p.year), ch::month(static_cast<unsigned>(p.month)),
      ch::day(static_cast<unsigned>(p.day))};
  if (!day.ok() || p.year < 1970)
    return std::nullopt;
  if (!p.zone) {
    const auto seconds = local_seconds(p);
    return seconds ? std::optional(*seconds * 1000 + p.ms) : std::nullopt;
  }
  const int64_t days = ch::sys_days(day).time_since_epoch().count();
  return ((days * 24 + p.hour) * 60 + p.minute - *p.zone) * k_minute_ms + p.second * 1000 + p.ms;
}

// "2026-11-29T10:00:00.123Z", "2026/11/29 10:00:00".
std::optional<int64_t> iso(std::string_view text) {
  Reader from(text);
  ClockParts p;
  const auto year = from.digits(4);
  const bool slashes = from.rest().starts_with('/');
  const auto month = year && from.take("-/") ? from.digits(2) : std::nullopt;
  const auto day = month && from.take(slashes ? "/" : "-") ? from.digits(2) : std::nullopt;
  if (!day || !from.take("T ") || !read_clock(from, p))
    return std::nullopt;
  p.year = *year;
  p.month = *month;
  p.day = *day;
  p.ms = from.milliseconds();
  p.zone = from.zone();
  return ms_of(p);
}

// "29/Nov/2026:10:00:00 +0000"
std::optional<int64_t> of_access(std::string_view text) {
  Reader from(text);
  ClockParts p;
  const auto day = from.digits(2);
  const auto month = day && from.take("/") ? from.month() : std::nullopt;
  const auto year = month && from.take("/") ? from.digits(4) : std::nullopt;
  if (!year || !from.take(":") || !read_clock(from, p))
    return std::nullopt;
  p.year = *year;
  p.month = *month;
  p.day = *day;
  p.zone = from.zone();
  return ms_of(p);
}

// "Nov 29 10:00:00", "Nov  9 10:00:00"
std::optional<int64_t> of_syslog(std::string_view text, int64_t near_ms) {
  Reader from(text);
  ClockParts p;
  const auto month = from.month();
  if (!month || !from.take(" "))
    return std::nullopt;
  const auto day = from.take(" ") ? from.digits(1) : from.digits(2);
  if (!day || !from.take(" ") || !read_clock(from, p))
    return std::nullopt;
  p.month = *month;
  p.day = *day;
  const std::chrono::sys_days today = std::chrono::floor<std::chrono::days>(
      std::chrono::sys_time<std::chrono::milliseconds>(std::chrono::milliseconds(near_ms)));
  const int year = static_cast<int>(std::chrono::year_month_day(today).year());
  std::optional<int64_t> best;
  for (p.year = year - 1; p.year <= year + 1; ++p.year)
    if (const auto ms = ms_of(p);
        ms && (!best || std::llabs(*ms - near_ms) < std::llabs(*best - near_ms)))
      best = ms;
  return best;
}

} // namespace

std::string format_time_ms(int64_t unix_ms) {
  if (unix_ms <= 0)
    return "";
  const std::string ms = std::to_string(unix_ms % 1000);
  return cat(format_time(unix_ms), ".", std::string(3 - ms.size(), '0'), ms);
}

std::optional<int64_t> time_of_line(std::string_view line, int64_t near_ms) {
  constexpr std::string_view k_json = "{\"time\":\"";
  constexpr size_t k_address = 300; // of a visitor and a user's name, before the time
  if (line.starts_with(k_json))
    return iso(line.substr(k_json.size()));
  if (line.starts_with('['))
    return iso(line.substr(1));
  if (const auto time = iso(line))
    return time;
  if (const auto time = of_syslog(line, near_ms))
    return time;
  const auto bracket = line.substr(0, k_address).find(" [");
  return bracket == std::string_view::npos ? std::nullopt : of_access(line.substr(bracket + 2));
}

} // namespace chillbox::cli
