// When the entries of a crontab are due, also on days on which the clocks change. When they go
// forward, an entry with fixed hours whose time is skipped is due at the first moment after the
// gap. When they go back, it is due once. Entries for every hour follow the clock as it is.
#pragma once

#include "config/crontab.hpp"

#include <cstdint>
#include <optional>

namespace chillbox::cron {

// The first moment after `after`, both in Unix seconds; nullopt: none in the next eight years,
// which means never (30 February).
std::optional<int64_t> next_due(const config::Schedule& when, int64_t after);

// An entry's next moment, in Unix seconds.
struct Appointment {
  config::Schedule when;
  std::optional<int64_t> due;
};
// True: run the entry now; the appointment is then the next one. clock_set: by how many seconds the
// clock was set since the last call. As in cron, an entry that came due while the clock was set
// forward by less than three hours runs once; by more, it is skipped. When the clock was set back
// by less than three hours, entries with fixed hours do not run again for the repeated time.
bool take_due(Appointment& appointment, int64_t now, int64_t clock_set);

} // namespace chillbox::cron
