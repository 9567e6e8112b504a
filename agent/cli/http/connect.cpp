#include "cli/http/connect.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "os/deadline.hpp"
#include "os/io.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
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
    ask += cat("Proxy-Authorization: Basic ",
        base64(bytes_of(cat(proxy.user, ":", proxy.password))), "\r\n");
  const os::Deadline deadline(timeout);
  ask += "\r\n";
  TRY(os::write_all(fd, bytes_of(ask), deadline));
  const std::string head = TRY(read_head(fd, deadline));
  const auto line = std::string_view(head).substr(0, head.find('\r'));
  if (!line.starts_with("HTTP/1.") || line.size() < 12 || line.substr(8, 2) != " 2")
    return fail(Code::unreachable, cat("the proxy answered '", printable(line, 100), "'"));
  return {};
}

// False: `from` has ended.
bool pass_on(int from, int to) {
  std::array<char, 65536> bytes;
  const ssize_t n = ::recv(from, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return true;
  return n > 0 && os::write_all(to, bytes_of({bytes.data(), static_cast<size_t>(n)})).has_value();
}

} // namespace

Result<Fd> connect_tcp(const std::string& host, uint16_t port, milliseconds timeout) {
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
    if (Fd fd; (error = try_address(*address, timeout, fd)) == 0)
      return fd;
  return fail(Code::unreachable,
      fail_errno(cat("connect to port ", port, " of ", printable(host, 255)), error)
          .error()
          .message);
}

Result<std::unique_ptr<Tunnel>> Tunnel::open(
    const Proxy& proxy, const Url& to, milliseconds timeout) {
  Fd there = TRY(connect_tcp(proxy.host, proxy.port, timeout));
  TRY(ask_proxy(there.get(), proxy, to, timeout));
  Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (!listener || ::bind(listener.get(), generic, size) != 0 || ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), generic, &size) != 0)
    return fail_errno("listen on 127.0.0.1", errno);
  return std::unique_ptr<Tunnel>(
      new Tunnel(std::move(there), std::move(listener), ntohs(address.sin_port)));
}

Tunnel::Tunnel(Fd there, Fd listener, uint16_t port)
    : m_there(std::move(there)), m_listener(std::move(listener)), m_end(::eventfd(0, EFD_CLOEXEC)),
      m_port(port), m_thread([this] { relay(); }) {}

Tunnel::~Tunnel() {
  ::eventfd_write(m_end.get(), 1);
  ::shutdown(m_there.get(), SHUT_RDWR); // ends a send that waits, too
  m_thread.join();
}

void Tunnel::relay() {
  pollfd waiting[] = {{m_end.get(), POLLIN, 0}, {m_listener.get(), POLLIN, 0}};
  if (::poll(waiting, 2, -1) < 1 || waiting[0].revents != 0)
    return;
  const Fd here(::accept4(m_listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  m_listener.reset();
  if (!here)
    return;
  pollfd both[] = {{m_end.get(), POLLIN, 0}, {here.get(), POLLIN, 0}, {m_there.get(), POLLIN, 0}};
  while (::poll(both, 3, -1) > 0 && both[0].revents == 0)
    for (const auto& [from, to] : {std::pair{1, 2}, {2, 1}})
      if (both[from].revents != 0 && !pass_on(both[from].fd, both[to].fd)) {
        ::shutdown(both[to].fd, SHUT_WR);
        both[from].fd = -1; // the other direction may go on
        if (both[to].fd < 0)
          return;
      }
}

} // namespace chillbox::cli
