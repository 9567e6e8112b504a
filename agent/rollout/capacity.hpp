// Is there room for a second copy: on the disk while the old release stays, in memory while both
// run.
#pragma once

#include "rollout/job_context.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::rollout {

struct Capacity {
  uint64_t bytes = 0, entries = 0; // of the release
  uint64_t reserve = 0;            // bytes of the disk that stay free
  os::Space space;
  // Of the second copies, in bytes: their limits, else what the first ones take; 0: not known.
  uint64_t memory = 0;
  std::optional<uint64_t> memory_available; // bytes
  uint64_t bytes_needed() const { return bytes * 2 + reserve; }
  uint64_t entries_needed(uint32_t reserve_percent) const;
};
// What a release of this size needs while the live one stays.
Capacity capacity_of(JobContext& r, const os::TreeSize& size);
std::vector<std::string> capacity_problems(
    const Capacity& capacity, const os::Paths& paths, uint32_t reserve_percent);

} // namespace chillbox::rollout
