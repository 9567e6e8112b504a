// Netlink's socket diagnosis (sock_diag(7)): the kernel says how many connections wait at a
// listening unix socket, which nothing in /proc does. It sees the network namespace that it is
// asked in, which is the host's own, also in a container.
#include "base/fd.hpp"
#include "base/text.hpp"
#include "openrc/accept_queues.hpp"
#include "openrc/slots.hpp"

#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace chillbox::openrc {
namespace {

// A dump of every listening unix socket, with its name and queue.
bool ask(int netlink) {
  struct {
    nlmsghdr header;
    unix_diag_req body;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.sdiag_family = AF_UNIX;
  request.body.udiag_states = 1U << TCP_LISTEN;
  request.body.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_RQLEN;
  return ::send(netlink, &request, sizeof request, 0) == static_cast<ssize_t>(sizeof request);
}

struct Listener {
  std::string_view name;
  uint32_t waiting = 0;
};

// One message's attributes: each a length and a type of 16 bits, padded to 4 bytes.
Listener read_listener(std::string_view message) {
  Listener out;
  message.remove_prefix(
      std::min(message.size(), static_cast<size_t>(NLMSG_ALIGN(sizeof(unix_diag_msg)))));
  while (message.size() >= sizeof(nlattr)) {
    nlattr attribute{};
    std::memcpy(&attribute, message.data(), sizeof attribute);
    if (attribute.nla_len < sizeof attribute || attribute.nla_len > message.size())
      break;
    const auto value = message.substr(sizeof attribute, attribute.nla_len - sizeof attribute);
    if (attribute.nla_type == UNIX_DIAG_NAME)
      out.name = value.substr(0, value.find('\0')); // some kernels count the closing NUL
    if (attribute.nla_type == UNIX_DIAG_RQLEN && value.size() >= sizeof(unix_diag_rqlen))
      std::memcpy(&out.waiting, value.data(), sizeof out.waiting);
    message.remove_prefix(
        std::min(message.size(), static_cast<size_t>(NLA_ALIGN(attribute.nla_len))));
  }
  return out;
}

// One datagram of the dump, each listener of it to `take`. false: it was the last, or an error.
template <class Take> bool read_part(std::string_view part, Take&& take) {
  while (part.size() >= sizeof(nlmsghdr)) {
    nlmsghdr header{};
    std::memcpy(&header, part.data(), sizeof header);
    if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR ||
        header.nlmsg_len < sizeof header || header.nlmsg_len > part.size())
      return false;
    take(read_listener(part.substr(sizeof header, header.nlmsg_len - sizeof header)));
    part.remove_prefix(std::min(part.size(), static_cast<size_t>(NLMSG_ALIGN(header.nlmsg_len))));
  }
  return true;
}

template <class Take> void each_listener(Take&& take) {
  const Fd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  const timeval second{1, 0};
  if (!netlink ||
      ::setsockopt(netlink.get(), SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) != 0 ||
      !ask(netlink.get()))
    return;
  std::array<char, 32768> buffer;
  for (;;) {
    const ssize_t n = ::recv(netlink.get(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0 || !read_part({buffer.data(), static_cast<size_t>(n)}, take))
      return;
  }
}

} // namespace

std::optional<uint32_t> accept_queue(const std::string& socket_path) {
  // The kernel knows the path that was bound, a caller may know the link to it.
  const std::unique_ptr<char, decltype(&std::free)> real(
      ::realpath(socket_path.c_str(), nullptr), &std::free);
  const std::string path = real ? real.get() : socket_path;
  std::optional<uint32_t> found;
  each_listener([&](const Listener& listener) {
    if (listener.name == path)
      found = found.value_or(0) + listener.waiting;
  });
  return found;
}

std::map<std::string, uint32_t> accept_queues() {
  std::map<std::string, uint32_t> all;
  each_listener([&](const Listener& listener) {
    if (!listener.name.empty())
      all[std::string(listener.name)] += listener.waiting;
  });
  return all;
}

} // namespace chillbox::openrc
