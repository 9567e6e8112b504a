// How the sites of a host did in the last days, hour by hour; an hour without a visitor has no row.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace chillbox::control {

// Columns of the same length, oldest first.
struct SiteHours {
  std::string site;
  std::vector<uint64_t> hours;                          // since 1970
  std::vector<uint64_t> requests, errors, sent, p95_ms; // errors: 5xx; sent: bytes
  std::vector<uint64_t> cpu_ms, memory; // processor time of its services; bytes, the most seen
};
struct Hours {
  int64_t now_ms = 0;
  std::vector<SiteHours> sites;
};

} // namespace chillbox::control
