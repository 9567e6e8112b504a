#include "openrc/restart_news.hpp"

#include "base/text.hpp"
#include "openrc/cgroup.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace chillbox::openrc {
namespace {

std::string socket_path(const os::Paths& paths) {
  return paths.run() + "/restarts.sock";
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(Code::invalid, cat(path, ": too long for a socket"));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

} // namespace

// Whoever was there before is gone: there is one daemon.
Result<Fd> listen_for_restarts(const os::Paths& paths) {
  const std::string path = socket_path(paths);
  const auto address = TRY(address_of(path));
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket)
    return fail_errno("socket", errno);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return fail_errno(cat("remove ", path), errno);
  const mode_t before = ::umask(0177);
  const int bound = ::bind(socket.get(), generic(address), sizeof address);
  const int err = errno;
  ::umask(before);
  if (bound != 0)
    return fail_errno(cat("bind ", path), err);
  return socket;
}

void tell_restart(const os::Paths& paths, const std::string& slot, os::Millis pause) {
  const auto address = address_of(socket_path(paths));
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!address || !socket)
    return;
  const std::string news = cat(slot, " ", pause.count());
  ::sendto(
      socket.get(), news.data(), news.size(), MSG_NOSIGNAL, generic(*address), sizeof *address);
}

std::optional<RestartNews> next_restart(const Fd& socket) {
  std::array<char, 256> buffer;
  for (;;) {
    const ssize_t size = ::recv(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0)
      return std::nullopt;
    const std::string_view text(buffer.data(), static_cast<size_t>(size));
    const auto words = split(text, ' ');
    auto slot = SlotName::parse(words[0]);
    const auto pause = words.size() == 2 ? parse_u64(words[1]) : std::nullopt;
    if (slot && pause && *pause <= 3'600'000)
      return RestartNews{std::move(*slot), os::Millis(static_cast<int64_t>(*pause))};
  }
}

uint64_t out_of_memory(os::Disk& disk, const os::Paths& paths, const SlotName& slot) {
  uint64_t kills = 0;
  for (const auto& group : cgroups_of(disk, paths, slot.str()))
    if (const auto text = disk.read(group + "/memory.events", 4096))
      for (const auto line : split(*text, '\n'))
        if (line.starts_with("oom_kill "))
          kills += parse_u64(trim(line.substr(9))).value_or(0);
  return kills;
}

} // namespace chillbox::openrc
