#include "os/port.hpp"

#include "base/text.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

namespace chillbox::os {
namespace {

struct Listening {
  std::string inode;
  uint32_t waiting; // to be accepted
};

// The sockets that listen on this port, as /proc/net/tcp has them (proc(5)): "SLOT: ADDRESS:PORT
// REMOTE STATE TX_QUEUE:RX_QUEUE ... INODE". Of one that listens the kernel shows its accept queue
// as what is to be received.
std::vector<Listening> listeners(uint16_t port) {
  constexpr std::string_view k_listen = "0A";
  std::array<char, 8> want{};
  std::snprintf(want.data(), want.size(), ":%04X", static_cast<unsigned>(port));
  std::vector<Listening> found;
  for (const char* table : {"/proc/self/net/tcp", "/proc/self/net/tcp6"}) {
    std::ifstream in(table);
    for (std::string line; std::getline(in, line);) {
      std::istringstream row(line);
      std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
      row >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >> timeout >>
          inode;
      if (state == k_listen && local.ends_with(want.data()))
        found.push_back({inode,
            static_cast<uint32_t>(std::strtoul(
                queues.c_str() + std::min(queues.size(), queues.find(':') + 1), nullptr, 16))});
    }
  }
  return found;
}

using DirPtr = std::unique_ptr<DIR, int (*)(DIR*)>;

bool has_socket(const std::string& fds, const std::vector<Listening>& sockets) {
  const DirPtr dir(::opendir(fds.c_str()), ::closedir);
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    std::array<char, 64> target{};
    const ssize_t n = ::readlink((fds + "/" + entry->d_name).c_str(), target.data(), target.size());
    for (const auto& socket : sockets)
      if (n > 0 &&
          std::string_view(target.data(), static_cast<size_t>(n)) ==
              cat("socket:[", socket.inode, "]"))
        return true;
  }
  return false;
}

} // namespace

std::optional<PortHolder> port_holder(uint16_t port) {
  const auto sockets = listeners(port);
  if (sockets.empty())
    return std::nullopt;
  const DirPtr proc(::opendir("/proc"), ::closedir);
  while (const dirent* entry = proc ? ::readdir(proc.get()) : nullptr) {
    const auto pid = parse_u64(entry->d_name);
    if (!pid || !has_socket(cat("/proc/", entry->d_name, "/fd"), sockets))
      continue;
    PortHolder holder{.pid = static_cast<pid_t>(*pid), .name = {}};
    std::ifstream comm(cat("/proc/", entry->d_name, "/comm"));
    std::getline(comm, holder.name);
    return holder;
  }
  return PortHolder{};
}

uint32_t accept_queue(uint16_t port) {
  uint32_t waiting = 0;
  for (const auto& socket : listeners(port))
    waiting += socket.waiting;
  return waiting;
}

std::string describe(const PortHolder& holder) {
  return holder.pid == 0 ? "a process that is not to be seen from here"
                         : cat("'", printable(holder.name, 40), "' (process ", holder.pid, ")");
}

} // namespace chillbox::os
