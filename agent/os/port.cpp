#include "os/port.hpp"

#include "base/text.hpp"
#include "os/sock_diag.hpp"

#include <arpa/inet.h>
#include <dirent.h>
#include <linux/inet_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace chillbox::os {
namespace {

using DirPtr = std::unique_ptr<DIR, int (*)(DIR*)>;

// "socket:[INODE]" of each socket that the process has open.
template <class Take> void each_socket(const std::string& fds, Take take) {
  constexpr std::string_view k_socket = "socket:[";
  const DirPtr dir(::opendir(fds.c_str()), ::closedir);
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    std::array<char, 64> target{};
    const ssize_t n = ::readlinkat(::dirfd(dir.get()), entry->d_name, target.data(), target.size());
    const std::string_view text(target.data(), static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (text.starts_with(k_socket))
      take(text.substr(k_socket.size(), text.size() - k_socket.size() - 1));
  }
}

uint32_t from_hex(std::string_view digits) {
  uint32_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return value;
}

} // namespace

// As /proc/net/tcp has them (proc(5)): "SLOT: ADDRESS:PORT REMOTE STATE TX_QUEUE:RX_QUEUE TIMER
// RETRANSMITS UID TIMEOUT INODE". Of one that listens the kernel shows its accept queue as what is
// to be received. It has a line for each connection of the host, too.
void Listeners::read_table(const char* table) {
  constexpr std::string_view k_listen = "0A";
  enum Column : size_t { local = 1, state = 3, queues = 4, inode = 9 };
  std::ifstream in(table);
  for (std::string line; std::getline(in, line);) {
    auto row = split(trim(line), ' ');
    std::erase(row, "");
    if (row.size() > inode && row[state] == k_listen)
      m_sockets.emplace(
          static_cast<uint16_t>(from_hex(row[local].substr(row[local].rfind(':') + 1))),
          Socket{std::string(row[inode]), from_hex(row[queues].substr(row[queues].find(':') + 1))});
  }
}

// By socket diagnosis, which looks at what listens alone; where the kernel does not have that for
// TCP, by its table.
Listeners Listeners::read() {
  Listeners all;
  for (const auto& [family, table] :
      {std::pair{AF_INET, "/proc/self/net/tcp"}, std::pair{AF_INET6, "/proc/self/net/tcp6"}}) {
    inet_diag_req_v2 request{};
    request.sdiag_family = static_cast<uint8_t>(family);
    request.sdiag_protocol = IPPROTO_TCP;
    request.idiag_states = 1U << TCP_LISTEN;
    Listeners some;
    const bool whole = dump_sockets(
        {reinterpret_cast<const char*>(&request), sizeof request}, [&](std::string_view message) {
          inet_diag_msg one{};
          if (message.size() < sizeof one)
            return;
          std::memcpy(&one, message.data(), sizeof one);
          some.m_sockets.emplace(::ntohs(one.id.idiag_sport),
              Socket{std::to_string(one.idiag_inode), one.idiag_rqueue});
        });
    if (whole)
      all.m_sockets.merge(some.m_sockets);
    else
      all.read_table(table);
  }
  return all;
}

bool Listeners::belong_to(std::span<const pid_t> processes, uint16_t port) const {
  std::set<std::string, std::less<>> open;
  for (const pid_t process : processes)
    each_socket(
        cat("/proc/", process, "/fd"), [&](std::string_view inode) { open.emplace(inode); });
  const auto [first, last] = m_sockets.equal_range(port);
  return first != last &&
      std::all_of(first, last, [&](const auto& one) { return open.contains(one.second.inode); });
}

std::optional<PortHolder> Listeners::holder(uint16_t port) const {
  const auto [first, last] = m_sockets.equal_range(port);
  if (first == last)
    return std::nullopt;
  const DirPtr proc(::opendir("/proc"), ::closedir);
  while (const dirent* entry = proc ? ::readdir(proc.get()) : nullptr) {
    const auto pid = parse_u64(entry->d_name);
    bool holds = false;
    if (pid)
      each_socket(cat("/proc/", entry->d_name, "/fd"), [&](std::string_view inode) {
        holds = holds ||
            std::any_of(first, last, [&](const auto& one) { return one.second.inode == inode; });
      });
    if (!holds)
      continue;
    PortHolder holder{.pid = static_cast<pid_t>(*pid), .name = {}};
    std::ifstream comm(cat("/proc/", entry->d_name, "/comm"));
    std::getline(comm, holder.name);
    return holder;
  }
  return PortHolder{};
}

uint32_t Listeners::waiting(uint16_t port) const {
  uint32_t sum = 0;
  for (auto [one, last] = m_sockets.equal_range(port); one != last; ++one)
    sum += one->second.waiting;
  return sum;
}

std::optional<PortHolder> port_holder(uint16_t port) {
  return Listeners::read().holder(port);
}

uint32_t accept_queue(uint16_t port) {
  return Listeners::read().waiting(port);
}

std::string describe(const PortHolder& holder) {
  return holder.pid == 0 ? "a process that is not to be seen from here"
                         : cat("'", printable(holder.name, 40), "' (process ", holder.pid, ")");
}

} // namespace chillbox::os
