// Who listens on a TCP port of this machine: before a service is given one (faults 73, 108), and
// before it is stopped.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace chillbox::os {

struct PortHolder {
  pid_t pid = 0;
  std::string name; // of the process, as ps shows it; "" with pid 0: it is not to be seen from here
};
// On any address of this network namespace; nullopt: nobody.
std::optional<PortHolder> port_holder(uint16_t port);
uint32_t accept_queue(uint16_t port);           // connections that nobody has accepted yet
std::string describe(const PortHolder& holder); // "'nginx' (process 123)"

} // namespace chillbox::os
