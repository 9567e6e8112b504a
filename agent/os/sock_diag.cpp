#include "os/sock_diag.hpp"

#include "base/fd.hpp"

#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace chillbox::os {
namespace {

bool ask(int netlink, std::string_view body) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<uint32_t>(sizeof header + body.size());
  header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  std::string request(reinterpret_cast<const char*>(&header), sizeof header);
  request += body;
  return ::send(netlink, request.data(), request.size(), 0) == static_cast<ssize_t>(request.size());
}

enum class Part { more, last, error };

// One datagram of the dump.
Part read_part(std::string_view part, const std::function<void(std::string_view)>& take) {
  while (part.size() >= sizeof(nlmsghdr)) {
    nlmsghdr header{};
    std::memcpy(&header, part.data(), sizeof header);
    if (header.nlmsg_type == NLMSG_DONE)
      return Part::last;
    if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_len < sizeof header ||
        header.nlmsg_len > part.size())
      return Part::error;
    take(part.substr(sizeof header, header.nlmsg_len - sizeof header));
    part.remove_prefix(std::min(part.size(), static_cast<size_t>(NLMSG_ALIGN(header.nlmsg_len))));
  }
  return Part::more;
}

} // namespace

bool dump_sockets(std::string_view request, const std::function<void(std::string_view)>& take) {
  const Fd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  const timeval second{1, 0};
  if (!netlink ||
      ::setsockopt(netlink.get(), SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) != 0 ||
      !ask(netlink.get(), request))
    return false;
  std::array<char, 32768> buffer;
  for (;;) {
    const ssize_t n = ::recv(netlink.get(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    const Part part = read_part({buffer.data(), static_cast<size_t>(n)}, take);
    if (part != Part::more)
      return part == Part::last;
  }
}

} // namespace chillbox::os
