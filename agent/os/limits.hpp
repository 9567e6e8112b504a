// What a program and all that it starts may use up. 0: no limit of ours.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace chillbox::os {

struct Limits {
  // Of all its processes together, in a control group (version 2); without effect where the kernel
  // or the host lacks the controller.
  uint64_t memory_max = 0; // bytes
  uint32_t cpu_max = 0;    // percent of one processor
  std::string cpus;        // "0-1,3"; "": all
  uint32_t tasks_max = 0;  // processes and threads
  // Of each process (setrlimit), which holds everywhere.
  uint32_t user_tasks_max = 0; // as long as its user has no more than so many processes and threads
                               // on this host, it may start another
  uint64_t address_space = 0;  // bytes
  uint64_t file_size = 0;      // bytes
  uint32_t cpu_seconds = 0;
};

// Files of a control group of version 2, and what to write to them.
std::vector<std::pair<std::string, std::string>> group_settings(const Limits& limits);

} // namespace chillbox::os
