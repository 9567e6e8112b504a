// Who listens on a TCP port of this machine: before a service is given one (faults 73, 108), and
// before it is stopped.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

namespace chillbox::os {

struct PortHolder {
  pid_t pid = 0;
  std::string name; // of the process, as ps shows it; "" with pid 0: it is not to be seen from here
};
// What listens on TCP in this network namespace, at one moment.
class Listeners {
public:
  static Listeners read();
  bool any(uint16_t port) const { return m_sockets.contains(port); }
  // Each socket that listens there is one of theirs.
  bool belong_to(std::span<const pid_t> processes, uint16_t port) const;
  std::optional<PortHolder> holder(uint16_t port) const; // nullopt: nobody
  uint32_t waiting(uint16_t port) const;                 // to be accepted

private:
  struct Socket {
    std::string inode;
    uint32_t waiting = 0;
  };
  void read_table(const char* table);

  std::multimap<uint16_t, Socket> m_sockets;
};

// On any address of this network namespace; nullopt: nobody.
std::optional<PortHolder> port_holder(uint16_t port);
uint32_t accept_queue(uint16_t port);           // connections that nobody has accepted yet
std::string describe(const PortHolder& holder); // "'nginx' (process 123)"

} // namespace chillbox::os
