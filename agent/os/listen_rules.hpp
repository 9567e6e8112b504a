// What a program of a site may listen on: the TCP ports that it was given and whatever free port
// the kernel chooses, no other; so that no site takes a port that belongs to another one, whose
// visitors would talk to it. Landlock's network rules (Linux 6.7), and a system call filter that
// closes the ways around them: they know TCP only, not MPTCP (which takes plain TCP as well), SMC
// or TIPC, and a filter does not see io_uring. An older kernel has the filter alone.
#pragma once

#include "base/error.hpp"
#include "os/seccomp.hpp"

#include <cstdint>
#include <utility>
#include <vector>

namespace chillbox::os {

class ListenRules {
public:
  static Result<ListenRules> create(std::vector<uint16_t> ports);
  // For this process and all that it starts, for good. Needs no_new_privs. 0, or errno. Asks for no
  // memory: for a forked child.
  int apply() const;
  static bool kernel_has_ports();

private:
  ListenRules(std::vector<uint16_t> ports, const Filter* filter)
      : m_ports(std::move(ports)), m_filter(filter) {}

  std::vector<uint16_t> m_ports;
  const Filter* m_filter; // the same for all, made once
};

} // namespace chillbox::os
