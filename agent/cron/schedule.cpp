#include "cron/schedule.hpp"

#include <ctime>

namespace chillbox::cron {
namespace {

constexpr int64_t k_minute = 60, k_hour = 3600;
constexpr int64_t k_horizon = 8LL * 366 * 24 * k_hour; // 29 February comes within
constexpr int64_t k_far = 3 * k_hour; // cron calls anything less a correction of the clock

std::tm local(int64_t at) {
  const auto time = static_cast<std::time_t>(at);
  std::tm out{};
  ::localtime_r(&time, &out);
  return out;
}

bool day_matches(const config::Schedule& when, const std::tm& t) {
  if (!when.months[static_cast<size_t>(t.tm_mon) + 1])
    return false;
  const bool day = when.days[static_cast<size_t>(t.tm_mday)];
  const bool weekday = when.weekdays[static_cast<size_t>(t.tm_wday)];
  return when.any_day || when.any_weekday ? day && weekday : day || weekday;
}

bool matches(const config::Schedule& when, const std::tm& t) {
  return when.minutes[static_cast<size_t>(t.tm_min)] &&
      when.hours[static_cast<size_t>(t.tm_hour)] && day_matches(when, t);
}

// The clocks went back a while ago and already showed this time.
bool comes_again(int64_t at, const std::tm& t) {
  const int64_t back = local(at - k_far).tm_gmtoff - t.tm_gmtoff;
  return back > 0 && local(at - back).tm_gmtoff == t.tm_gmtoff + back;
}

// The clocks go forward at this moment, past a time at which the entry was due.
bool left_out(const config::Schedule& when, int64_t at, const std::tm& t) {
  const int64_t gap = t.tm_gmtoff - local(at - 1).tm_gmtoff;
  for (int64_t before = gap; before > 0; before -= k_minute) {
    const auto moment = static_cast<std::time_t>(
        at + t.tm_gmtoff - before); // as if it were UTC: what the clocks would have shown
    std::tm shown{};
    ::gmtime_r(&moment, &shown);
    if (matches(when, shown))
      return true;
  }
  return false;
}

// Skips to where the next match may be. It never skips a moment at which the clocks change, because
// these are full hours.
int64_t advance(const config::Schedule& when, int64_t at, const std::tm& t) {
  if (when.hours[static_cast<size_t>(t.tm_hour)] && day_matches(when, t))
    return at + k_minute;
  if (t.tm_hour < 20 && !day_matches(when, t))
    return at + (21 - t.tm_hour) * k_hour - t.tm_min * k_minute;
  return at + k_hour - t.tm_min * k_minute;
}

} // namespace

std::optional<int64_t> next_due(const config::Schedule& when, int64_t after) {
  for (int64_t at = after - after % k_minute + k_minute; at <= after + k_horizon;) {
    const auto t = local(at);
    const bool due = when.fixed()
        ? (matches(when, t) && !comes_again(at, t)) || left_out(when, at, t)
        : matches(when, t);
    if (due)
      return at;
    at = advance(when, at, t);
  }
  return std::nullopt;
}

bool take_due(Appointment& appointment, int64_t now, int64_t clock_set) {
  const bool far_back = clock_set <= -k_far;
  if (far_back || (clock_set <= -k_minute && !appointment.when.fixed()))
    appointment.due = next_due(appointment.when, now);
  if (!appointment.due || *appointment.due > now)
    return false;
  const bool in_time = now - *appointment.due < k_far;
  appointment.due = next_due(appointment.when, now);
  return in_time;
}

} // namespace chillbox::cron
