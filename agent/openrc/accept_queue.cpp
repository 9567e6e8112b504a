// How many connections wait at a listening unix socket, which nothing in /proc says. The network
// namespace is the host's own, also in a container.
#include "openrc/accept_queues.hpp"
#include "openrc/slots.hpp"
#include "os/sock_diag.hpp"

#include <linux/netlink.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace chillbox::openrc {
namespace {

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

template <class Take> void each_listener(Take&& take) {
  unix_diag_req request{};
  request.sdiag_family = AF_UNIX;
  request.udiag_states = 1U << TCP_LISTEN;
  request.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_RQLEN;
  os::dump_sockets({reinterpret_cast<const char*>(&request), sizeof request},
      [&](std::string_view message) { take(read_listener(message)); });
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
