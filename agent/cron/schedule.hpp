// When the entries of a crontab are due, over the days on which clocks are set. When they go
// forward, an entry with fixed hours whose time is left out is due at the first moment behind the
// gap; when they go back, it is due once. Entries of every hour follow the clock as it is.
#pragma once

#include "config/crontab.hpp"

#include <cstdint>
#include <optional>

namespace chillbox::cron {

// The first moment after `after` (Unix seconds, both); nullopt: not within the next eight years, so
// never (30 February).
std::optional<int64_t> next_due(const config::Schedule& when, int64_t after);

// An entry's next moment, and what becomes of it when it has come or the clock was set. All in Unix
// seconds.
struct Appointment {
  config::Schedule when;
  std::optional<int64_t> due;
};
// clock_set: by how much the clock was set since the last call. True: run it now; the appointment
// is the next one then. As in cron: what was due while the clock was set forward by less than three
// hours is run once; set forward by more, it is left out; set back by less, entries with fixed
// hours wait for what they have not done yet.
bool take_due(Appointment& appointment, int64_t now, int64_t clock_set);

} // namespace chillbox::cron
