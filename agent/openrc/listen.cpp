#include "openrc/listen.hpp"

#include "base/text.hpp"
#include "os/port.hpp"
#include "os/socket.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace chillbox::openrc {
namespace {

constexpr int k_backlog = 2048; // as gunicorn's own
constexpr mode_t k_mode = 0660;

} // namespace

Result<SlotSockets> listen_for(const SlotSpec& spec, const os::User& user) {
  SlotSockets sockets;
  if (spec.socket.empty())
    return sockets;
  if (::unlink(spec.socket.c_str()) != 0 && errno != ENOENT)
    return fail_errno(cat("remove ", spec.socket), errno);
  sockets.handed.push_back(
      TRY(os::listen_unix(spec.socket, k_mode, {user.uid, spec.socket_group}, k_backlog)));
  sockets.names = "socket";
  if (spec.port == 0)
    return sockets;
  sockets.handed.push_back(
      TRY_IN(cat("port ", spec.port), os::listen_tcp_loopback(spec.port, k_backlog)));
  sockets.names += ":port";
  return sockets;
}

// Without SO_REUSEADDR: with it, somebody else who has it, too, could bind next to us.
Result<Fd> hold_port(uint16_t port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = ::htons(port);
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  if (!fd)
    return fail_errno("socket", errno);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return fd;
  if (errno != EADDRINUSE)
    return fail_errno(cat("hold port ", port), errno);
  if (const auto holder = os::port_holder(port))
    return fail(Code::busy, cat("port ", port, " is taken by ", os::describe(*holder)));
  return Fd();
}

} // namespace chillbox::openrc
