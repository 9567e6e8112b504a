// What a service's control group has used, in sum over all its processes, those that have ended
// included. Without a value: the kernel or the host lacks that controller, or the service does not
// run. Version 2 of control groups only.
#pragma once

#include "os/paths.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace chillbox::openrc {

struct Usage {
  std::optional<uint64_t> cpu_us;        // since it was started
  std::optional<uint64_t> memory;        // bytes
  std::optional<uint64_t> memory_limit;  // bytes; none is set: no value
  std::optional<uint64_t> oom_kills;     // processes that the kernel ended for want of memory
  std::optional<uint64_t> tasks;         // processes and threads now
  Usage& operator+=(const Usage& other); // of another copy; a limit is that of all together
};

Usage usage_of(const os::Paths& paths, const std::string& service);

} // namespace chillbox::openrc
