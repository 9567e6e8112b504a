#include "os/probe.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "os/socket.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>

namespace chillbox::os {
namespace {

constexpr size_t k_max_answer = 64 * 1024;

std::string place_of(const Probe& p) {
  return p.socket.empty() ? cat("127.0.0.1:", p.port) : p.socket;
}

Result<Fd> connect_loopback(uint16_t port, Millis timeout) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (!fd)
    return fail_errno("socket", errno);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return fd;
  pollfd wait{fd.get(), POLLOUT, 0};
  int error = errno;
  socklen_t size = sizeof error;
  if (error == EINPROGRESS) {
    if (::poll(&wait, 1, static_cast<int>(timeout.count())) <= 0)
      return fail(Code::timed_out, "connect: no answer");
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error != 0)
    return fail(
        Code::unreachable, cat("connect: ", fail_errno("", error).error().message.substr(2)));
  return fd;
}

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 127; });
}

// Of a head, "" : it has none.
std::string_view header(std::string_view head, std::string_view name) {
  for (auto line : split(head, '\n')) {
    const auto colon = line.find(':');
    if (colon != std::string_view::npos &&
        std::ranges::equal(line.substr(0, colon), name, [](char a, char b) {
          return (a >= 'A' && a <= 'Z' ? static_cast<char>(a | 0x20) : a) == b;
        }))
      return trim(line.substr(colon + 1));
  }
  return {};
}

// The headers' end, and with a Content-Length the body's: a server that keeps the connection open
// shall not cost us the whole deadline.
bool is_whole(std::string_view bytes) {
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos)
    return false;
  const auto length = parse_u64(header(bytes.substr(0, end), "content-length"));
  return length && bytes.size() - end - 4 >= *length;
}

Result<std::string> read_answer(int fd, const Clock& clock, Millis deadline) {
  std::string bytes;
  std::array<char, 8192> buffer;
  while (bytes.size() < k_max_answer && !is_whole(bytes)) {
    const auto left = deadline - clock.mono();
    if (left <= Millis{0} || !TRY(wait_readable(fd, left)))
      return fail(Code::timed_out, bytes.empty() ? "no answer" : "the answer does not end");
    const ssize_t n = ::recv(
        fd, buffer.data(), std::min(buffer.size(), k_max_answer - bytes.size()), MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
      continue;
    if (n < 0)
      return fail(Code::unreachable, fail_errno("read", errno).error().message);
    if (n == 0)
      break;
    bytes.append(buffer.data(), static_cast<size_t>(n));
  }
  return bytes;
}

Result<ProbeAnswer> parse_answer(std::string_view bytes) {
  const auto end = bytes.find("\r\n\r\n");
  const auto status = bytes.size() > 12 && bytes.starts_with("HTTP/1.") && bytes[8] == ' '
      ? parse_u64(bytes.substr(9, 3))
      : std::nullopt;
  if (bytes.empty())
    return fail(Code::unreachable, "closed the connection without an answer");
  if (!status || *status < 100 || *status > 599 || end == std::string_view::npos)
    return fail(Code::invalid, cat("what came back is not HTTP: '", printable(bytes, 60), "'"));
  return ProbeAnswer{static_cast<int>(*status), std::string(bytes.substr(end + 4)),
      printable(header(bytes.substr(0, end), "location"), 200)};
}

// The headers of nginx/render_site.cpp for a visitor on this machine.
std::string forwarded(const Probe& p) {
  if (p.scheme.empty())
    return {};
  return cat("X-Real-IP: 127.0.0.1\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: ", p.scheme,
      "\r\nX-Forwarded-Host: ", p.host, "\r\n");
}

Result<ProbeAnswer> ask(const Probe& p) {
  const Clock& clock = real_clock();
  const auto deadline = clock.mono() + p.timeout;
  if (!p.path.starts_with('/') || !is_plain(p.path) || !is_plain(p.host))
    return fail(
        Code::invalid, cat("'", printable(p.path, 80), "' is not a path that can be requested"));
  const Fd fd = p.socket.empty() ? TRY(connect_loopback(p.port, p.timeout))
                                 : TRY(connect_unix(p.socket, p.timeout));
  const std::string request = cat("GET ", p.path, " HTTP/1.0\r\nHost: ", p.host,
      "\r\nUser-Agent: chillbox\r\n", forwarded(p), "Connection: close\r\n\r\n");
  TRY(write_all(fd.get(), bytes_of(request), std::max(deadline - clock.mono(), Millis{0})));
  return parse_answer(TRY(read_answer(fd.get(), clock, deadline)));
}

} // namespace

Result<ProbeAnswer> probe(const Probe& request) {
  auto answer = ask(request);
  if (!answer)
    return within(place_of(request), std::move(answer).error());
  return answer;
}

} // namespace chillbox::os
