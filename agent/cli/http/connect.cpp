#include "cli/http/connect.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "os/io.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace chillbox::cli {
namespace {

using std::chrono::milliseconds;

// An errno; 0: `fd` is the connection.
int try_address(const addrinfo& address, milliseconds timeout, Fd& fd) {
  fd = Fd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd)
    return errno;
  if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) == 0)
    return 0;
  if (errno != EINPROGRESS)
    return errno;
  pollfd p{fd.get(), POLLOUT, 0};
  if (::poll(&p, 1, static_cast<int>(timeout.count())) != 1)
    return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

// Up to the empty line, byte by byte: what follows is the host's.
Result<std::string> read_head(int fd, os::Deadline deadline) {
  std::string head;
  while (!head.ends_with("\r\n\r\n")) {
    pollfd p{fd, POLLIN, 0};
    char byte = 0;
    if (deadline.passed() || ::poll(&p, 1, deadline.poll_ms()) != 1)
      return fail(Code::unreachable, "the proxy does not answer");
    if (::recv(fd, &byte, 1, 0) != 1 || head.size() == 16'384)
      return fail(Code::unreachable, "the proxy closed the connection");
    head += byte;
  }
  return head;
}

Result<void> ask_proxy(int fd, const Proxy& proxy, const Url& to, milliseconds timeout) {
  const std::string place = to.host.find(':') == to.host.npos ? cat(to.host, ":", to.port)
                                                              : cat("[", to.host, "]:", to.port);
  std::string ask = cat("CONNECT ", place, " HTTP/1.1\r\nHost: ", place, "\r\n");
  if (!proxy.user.empty())
    ask += cat(basic_login(proxy), "\r\n");
  const os::Deadline deadline(timeout);
  ask += "\r\n";
  TRY(os::write_all(fd, bytes_of(ask), deadline));
  const std::string head = TRY(read_head(fd, deadline));
  const auto line = std::string_view(head).substr(0, head.find('\r'));
  if (!line.starts_with("HTTP/1.") || line.size() < 12 || line.substr(8, 2) != " 2")
    return fail(Code::unreachable, cat("the proxy answered '", printable(line, 100), "'"));
  return {};
}

} // namespace

Result<Fd> connect_tcp(
    const std::string& host, uint16_t port, milliseconds timeout, os::Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failed != 0)
    return fail(Code::unreachable,
        cat("could not resolve '", printable(host, 255), "': ", ::gai_strerror(failed)));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
  int error = 0;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next)
    if (Fd fd; (error = try_address(*address, std::min(timeout, deadline.left()), fd)) == 0)
      return fd;
  return fail(Code::unreachable,
      fail_errno(cat("connect to port ", port, " of ", printable(host, 255)), error)
          .error()
          .message);
}

Result<Fd> connect_through(
    const Proxy& proxy, const Url& to, milliseconds timeout, os::Deadline deadline) {
  Fd there = TRY(connect_tcp(proxy.host, proxy.port, timeout, deadline));
  TRY(ask_proxy(there.get(), proxy, to, std::min(timeout, deadline.left())));
  return there;
}

std::string basic_login(const Proxy& proxy) {
  return cat("Proxy-Authorization: Basic ", base64(bytes_of(cat(proxy.user, ":", proxy.password))));
}

} // namespace chillbox::cli
