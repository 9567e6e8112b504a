// What a host and its sites use and serve, as counters and levels of one moment: rates are made of
// two of them by who shows them. What the host cannot say has no value. Times are milliseconds
// since 1970, UTC.
#pragma once

#include "control/names.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::control {

struct ServiceUsage {
  std::string name;
  ServiceState state = ServiceState::files;
  uint64_t starts = 0;                          // of all copies, since the release got its slot
  std::optional<uint64_t> cpu_us;               // since it was started
  std::optional<uint64_t> memory, memory_limit; // bytes
  std::optional<uint32_t> queue;                // connections that wait
};
struct SiteUsage {
  std::string site;
  SiteState state = SiteState::none;
  std::string version;
  int64_t live_ms = 0;
  uint64_t requests = 0, errors = 0, sent = 0; // since chillboxd started; 5xx; bytes
  std::vector<uint64_t> times; // requests by duration, by Usage::bounds_ms; one more has no bound
  std::vector<ServiceUsage> services;
};
struct Usage {
  int64_t time_ms = 0, started_ms = 0; // of chillboxd
  std::string name, version;           // server_name
  bool sealed = false;
  std::optional<uint64_t> load_percent; // of one processor, in the last minute
  uint64_t processors = 1;
  std::optional<uint64_t> memory_total, memory_available, disk_total, disk_available; // bytes
  std::optional<uint64_t> uptime_s;                                                   // the machine
  uint64_t jobs_running = 0, jobs_waiting_unlock = 0;
  std::vector<uint64_t> bounds_ms;
  std::vector<SiteUsage> sites;
};

// The 95th of a hundred, from counts by upper bounds; nullopt: there are none. What is over the
// last bound counts as that.
std::optional<double> percentile_95(
    const std::vector<uint64_t>& counts, const std::vector<uint64_t>& bounds_ms);

} // namespace chillbox::control
