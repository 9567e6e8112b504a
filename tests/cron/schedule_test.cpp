// When the entries of a crontab are due, also on the days on which clocks are set.
#include "catch.hpp"

#include "cron/schedule.hpp"

#include <cstdlib>
#include <ctime>

using namespace chillbox;
using namespace chillbox::config;
using namespace chillbox::cron;

namespace {

// The time zone of this test; UTC again behind it.
struct Zone {
  explicit Zone(const char* name) { set(name); }
  ~Zone() { set("UTC"); }
  static void set(const char* name) {
    ::setenv("TZ", name, 1);
    ::tzset();
  }
};
constexpr const char* k_europe =
    "CET-1CEST,M3.5.0,M10.5.0/3"; // 2 h becomes 3 h on the last Sunday of March, 3 h becomes 2 h in
                                  // October
constexpr const char* k_lord_howe = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"; // half an hour

int64_t at(int year, int month, int day, int hour = 0, int minute = 0) { // UTC
  std::tm t{};
  t.tm_year = year - 1900;
  t.tm_mon = month - 1;
  t.tm_mday = day;
  t.tm_hour = hour;
  t.tm_min = minute;
  return ::timegm(&t);
}

std::string utc(std::optional<int64_t> moment) {
  if (!moment)
    return "never";
  const std::time_t time = *moment;
  std::tm t{};
  ::gmtime_r(&time, &t);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%F %H:%M %a", &t)};
}

std::string next(const char* line, int64_t after) {
  return utc(next_due(parse_cron_line(std::string(line) + " x").value().when, after));
}

} // namespace

TEST_CASE("the next moment of a schedule") {
  const Zone zone("UTC");
  const int64_t now = at(2026, 11, 24, 8, 17); // a Tuesday
  CHECK(next("* * * * *", now) == "2026-11-24 08:18 Tue");
  CHECK(next("* * * * *", now + 59) == "2026-11-24 08:18 Tue");
  CHECK(next("17 * * * *", now) == "2026-11-24 09:17 Tue");
  CHECK(next("*/15 * * * *", now) == "2026-11-24 08:30 Tue");
  CHECK(next("0 3 * * *", now) == "2026-11-25 03:00 Wed");
  CHECK(next("0 22-4/3 * * *", now) == "2026-11-24 22:00 Tue");
  CHECK(next("0 22-4/3 * * *", at(2026, 11, 24, 22)) == "2026-11-25 01:00 Wed");
  CHECK(next("30 6 1 * *", now) == "2026-12-01 06:30 Tue");
  CHECK(next("0 0 * * sun", now) == "2026-11-29 00:00 Sun");
  CHECK(next("0 0 * * 7", now) == "2026-11-29 00:00 Sun");
  CHECK(next("0 0 * * fri-mon", at(2026, 11, 28, 12)) == "2026-11-29 00:00 Sun");
  CHECK(next("0 0 * * 5-7", at(2026, 11, 28, 12)) == "2026-11-29 00:00 Sun");
  CHECK(next("0 0 * jan *", now) == "2027-01-01 00:00 Fri");
  CHECK(next("0 0 29 2 *", now) == "2028-02-29 00:00 Tue");
  CHECK(next("0 0 31 4 *", now) == "never");
}

TEST_CASE("[fault-71] day of the month and of the week: both when one is *, else one of them") {
  const Zone zone("UTC");
  const int64_t now = at(2026, 11, 24, 8, 17);
  CHECK(next("0 0 13 * fri", now) == "2026-11-27 00:00 Fri");
  CHECK(next("0 0 25 * fri", now) == "2026-11-25 00:00 Wed");
  CHECK(next("0 0 13 * *", now) == "2026-12-13 00:00 Sun");
  CHECK(next("0 0 */2 * fri", now) == "2026-11-27 00:00 Fri"); // the 27th is odd
  CHECK(next("0 0 */2 * sat", now) == "2026-12-05 00:00 Sat"); // the 28th is not
}

TEST_CASE("clocks go forward: what is left out is due behind the gap, once") {
  const Zone zone(k_europe);
  const int64_t before = at(2026, 3, 29, 0); // 1 h; at 1 h UTC it is 3 h
  CHECK(next("30 2 * * *", before) == "2026-03-29 01:00 Sun");
  CHECK(next("30 2 * * *", at(2026, 3, 29, 1)) == "2026-03-30 00:30 Mon");
  CHECK(next("0 3 * * *", before) == "2026-03-29 01:00 Sun");
  CHECK(next("0 2,3 * * *", at(2026, 3, 29, 1)) == "2026-03-30 00:00 Mon");
  CHECK(next("*/30 * * * *", at(2026, 3, 29, 0, 30)) == "2026-03-29 01:00 Sun");
  const Zone other(k_lord_howe);
  CHECK(next("15 2 * * *", at(2026, 10, 3, 15)) == "2026-10-03 15:30 Sat"); // 2 h becomes 2:30 h
}

TEST_CASE("clocks go back: fixed hours are due once, every hour goes on") {
  const Zone zone(k_europe);
  const int64_t before = at(2026, 10, 25, 0); // 2 h; at 1 h UTC it is 2 h again
  CHECK(next("30 2 * * *", before) == "2026-10-25 00:30 Sun");
  CHECK(next("30 2 * * *", at(2026, 10, 25, 0, 30)) == "2026-10-26 01:30 Mon");
  CHECK(next("0 3 * * *", before) == "2026-10-25 02:00 Sun");
  CHECK(next("30 * * * *", at(2026, 10, 25, 0, 30)) == "2026-10-25 01:30 Sun");
}

TEST_CASE("an appointment is kept once, and the next one follows") {
  const Zone zone("UTC");
  const int64_t now = at(2026, 11, 24, 8, 17);
  Appointment a{parse_cron_line("20 * * * * x").value().when, {}};
  CHECK_FALSE(take_due(a, now, 0));
  a.due = next_due(a.when, now);
  CHECK_FALSE(take_due(a, now + 179, 0));
  CHECK(take_due(a, now + 180, 0));
  CHECK_FALSE(take_due(a, now + 180, 0));
  CHECK(utc(a.due) == "2026-11-24 09:20 Tue");
}

TEST_CASE("a clock that is set: a little forward runs what was jumped over, far forward does not") {
  const Zone zone("UTC");
  const int64_t now = at(2026, 11, 24, 1);
  Appointment nightly{parse_cron_line("30 1 * * * x").value().when, at(2026, 11, 24, 1, 30)};
  Appointment far = nightly;
  CHECK(take_due(nightly, now + 7200, 7200));
  CHECK(utc(nightly.due) == "2026-11-25 01:30 Wed");
  CHECK_FALSE(take_due(far, now + 5 * 3600, 5 * 3600));
  CHECK(utc(far.due) == "2026-11-25 01:30 Wed");
}

TEST_CASE("a clock that is set back: fixed hours wait, every hour follows at once, far back everything does") {
  const Zone zone("UTC");
  const int64_t now = at(2026, 11, 24, 1);
  Appointment nightly{
      parse_cron_line("30 0 * * * x").value().when, at(2026, 11, 25, 0, 30)}; // has run today
  Appointment often{parse_cron_line("*/5 * * * * x").value().when, now + 300};
  CHECK_FALSE(take_due(nightly, now - 3600, -3600));
  CHECK(utc(nightly.due) == "2026-11-25 00:30 Wed");
  CHECK_FALSE(take_due(often, now - 3600, -3600));
  CHECK(utc(often.due) == "2026-11-24 00:05 Tue");
  CHECK_FALSE(take_due(often, now - 3601, -1)); // what NTP does
  CHECK(utc(often.due) == "2026-11-24 00:05 Tue");
  CHECK_FALSE(take_due(nightly, now - 86'400, -86'400));
  CHECK(utc(nightly.due) == "2026-11-24 00:30 Tue");
}
