// Reads one line of a site's crontab (faults 71): the schedule, as in cron(8), and the command.
// Times are in the host's time zone.
//
// As in cron, a day must match the day of the month and the day of the week; if both are restricted
// (neither begins with "*"), one of them is enough.
#pragma once

#include "base/error.hpp"

#include <bitset>
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
  std::string command; // as written, variables not expanded
};

// invalid, for the reader of a site file: "minute '60': must be ...".
Result<CronLine> parse_cron_line(std::string_view line);

} // namespace chillbox::config
