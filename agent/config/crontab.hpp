// One line of a site's crontab, read (faults 71): when, as cron(8) counts, and the command. Times
// are those of the host's time zone.
//
// As in cron: a day must match the day of the month and of the week, or one of them when both are
// restricted (neither begins with "*"). When clocks go forward, an entry with fixed hours whose
// time is left out is due at the first moment behind the gap; when they go back, it is due once.
// Entries of every hour follow the clock as it is.
#pragma once

#include "base/error.hpp"

#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::config {

struct Schedule {
  std::bitset<60> minutes;
  std::bitset<24> hours;
  std::bitset<32> days;                      // 1 to 31
  std::bitset<13> months;                    // 1 to 12
  std::bitset<7> weekdays;                   // 0: Sunday
  bool any_day = false, any_weekday = false; // the field begins with "*"
  bool fixed() const { return !hours.all(); }
};

struct CronLine {
  Schedule when;
  std::string command; // as it stands, variables not expanded
};

// invalid, for the reader of a site file: "minute '60': must be ...".
Result<CronLine> parse_cron_line(std::string_view line);

// The first moment after `after` (Unix seconds, both); nullopt: not within the next eight years, so
// never (30 February).
std::optional<int64_t> next_due(const Schedule& when, int64_t after);

// An entry's next moment, and what becomes of it when it has come or the clock was set. All in Unix
// seconds.
struct Appointment {
  Schedule when;
  std::optional<int64_t> due;
};
// clock_set: by how much the clock was set since the last call. True: run it now; the appointment
// is the next one then. As in cron: what was due while the clock was set forward by less than three
// hours is run once; set forward by more, it is left out; set back by less, entries with fixed
// hours wait for what they have not done yet.
bool take_due(Appointment& appointment, int64_t now, int64_t clock_set);

} // namespace chillbox::config
