// How sites did, hour by hour, for the last seven days: what was counted in an hour is added to the
// row of that hour. An hour in which nothing was counted has no row. delete_site removes them.
#pragma once

#include "base/time.hpp"
#include "store/store.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace chillbox::store {

inline constexpr int64_t k_hours_kept = 168;

struct SiteHour {
  std::string site;
  int64_t hour = 0;                            // since 1970
  uint64_t requests = 0, errors = 0, sent = 0; // errors: 5xx; sent: bytes
  uint64_t cpu_ms = 0, memory = 0; // processor time of its services; bytes, the most that was seen
  std::vector<uint64_t> times;     // requests by duration
  SiteHour& operator+=(const SiteHour& more);
};

// In one transaction; what is older than a week before the newest of them is forgotten. Of sites
// that have no row nothing is kept.
Result<void> add_hours(Store& store, const std::vector<SiteHour>& hours);
Result<std::vector<SiteHour>> hours_since(Store& store, int64_t hour); // by site, oldest first

} // namespace chillbox::store
