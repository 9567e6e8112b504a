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
#include <deque>
#include <optional>
#include <poll.h>

namespace chillbox::os {
namespace {

constexpr size_t k_max_answer = 64 * 1024;

std::string place_of(const Probe& p) {
  return p.socket.empty() ? cat("127.0.0.1:", p.port) : p.socket;
}

// EINPROGRESS is no error: the descriptor can be written to when it is connected, or is not.
Result<Fd> try_connect_loopback(uint16_t port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (!fd)
    return fail_errno("socket", errno);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
      errno == EINPROGRESS)
    return fd;
  return fail(Code::unreachable, cat("connect: ", fail_errno("", errno).error().message.substr(2)));
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

// One request on its way: it never blocks, and its owner waits for what it waits for.
class Exchange {
public:
  Exchange(const Probe& probe, Millis now) : m_probe(probe), m_deadline(now + probe.timeout) {
    if (!probe.path.starts_with('/') || !is_plain(probe.path) || !is_plain(probe.host)) {
      end(fail(Code::invalid,
          cat("'", printable(probe.path, 80), "' is not a path that can be requested")));
      return;
    }
    m_request = cat("GET ", probe.path, " HTTP/1.0\r\nHost: ", probe.host,
        "\r\nUser-Agent: chillbox\r\n", forwarded(probe), "Connection: close\r\n\r\n");
    go_on(now);
  }
  bool is_over() const { return m_answer.has_value(); }
  Result<ProbeAnswer> take() { return std::move(*m_answer); }
  // Without a descriptor it is tried again after k_again.
  pollfd waits_for() const {
    return {m_fd.get(), static_cast<short>(m_sent ? POLLIN : POLLOUT), 0};
  }
  Millis wait(Millis now) const {
    const Millis left = std::max(m_deadline - now, Millis{0});
    return m_fd ? left : std::min(left, k_again);
  }
  void go_on(Millis now) {
    if ((m_fd || connect()) && (m_sent || send()))
      receive();
    if (!is_over() && now >= m_deadline)
      end(late());
  }

private:
  static constexpr Millis k_again{5}; // room in the queue of a listener is no event

  void end(Result<ProbeAnswer> answer) {
    m_answer = answer ? std::move(answer)
                      : Result<ProbeAnswer>(within(place_of(m_probe), std::move(answer).error()));
    m_fd.reset();
  }
  std::unexpected<Error> late() const {
    if (!m_fd) // the listener's queue is full
      return fail(Code::unreachable,
          cat("connect to ", m_probe.socket, ": no answer within ", m_probe.timeout.count(),
              " ms"));
    return fail(Code::timed_out,
        !m_sent               ? "connect: no answer"
            : m_bytes.empty() ? "no answer"
                              : "the answer does not end");
  }
  bool connect() {
    auto fd = m_probe.socket.empty() ? try_connect_loopback(m_probe.port)
                                     : try_connect_unix(m_probe.socket);
    if (fd)
      m_fd = std::move(*fd);
    else if (fd.error().code != Code::busy)
      end(std::unexpected(std::move(fd).error()));
    return m_fd.get() >= 0;
  }
  bool send() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(m_fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    const ssize_t n = error != 0
        ? -1
        : ::send(m_fd.get(), m_request.data(), m_request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && error == 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN))
      return false;
    if (n < 0) {
      const Error failed =
          fail_errno(error != 0 ? "connect" : "write", error != 0 ? error : errno).error();
      end(fail(Code::unreachable, failed.message));
      return false;
    }
    m_request.erase(0, static_cast<size_t>(n));
    return m_sent = m_request.empty();
  }
  void receive() {
    std::array<char, 8192> buffer;
    while (m_bytes.size() < k_max_answer && !is_whole(m_bytes)) {
      const ssize_t n = ::recv(m_fd.get(), buffer.data(),
          std::min(buffer.size(), k_max_answer - m_bytes.size()), MSG_DONTWAIT);
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0 && errno == EAGAIN)
        return;
      if (n < 0)
        return end(fail(Code::unreachable, fail_errno("read", errno).error().message));
      if (n == 0)
        break;
      m_bytes.append(buffer.data(), static_cast<size_t>(n));
    }
    end(parse_answer(m_bytes));
  }

  const Probe& m_probe;
  Millis m_deadline;
  Fd m_fd;
  std::string m_request, m_bytes;
  bool m_sent = false;
  std::optional<Result<ProbeAnswer>> m_answer;
};

// Until one of them can go on, or is late.
void wait_for_any(std::span<Exchange*> open, const Clock& clock) {
  std::vector<pollfd> fds;
  Millis wait{INT32_MAX};
  for (const Exchange* exchange : open) {
    fds.push_back(exchange->waits_for());
    wait = std::min(wait, exchange->wait(clock.mono()));
  }
  ::poll(fds.data(), fds.size(), static_cast<int>(wait.count()));
  const Millis now = clock.mono();
  for (size_t i = 0; i < fds.size(); ++i)
    if (fds[i].revents != 0 || fds[i].fd < 0 || open[i]->wait(now) <= Millis{0})
      open[i]->go_on(now);
}

} // namespace

std::vector<Result<ProbeAnswer>> probe_all(std::span<const Probe> requests) {
  const Clock& clock = real_clock();
  std::deque<Exchange> all; // they stay where they are
  std::vector<Exchange*> open;
  do {
    while (open.size() < k_probes_at_once && all.size() < requests.size()) {
      open.push_back(&all.emplace_back(requests[all.size()], clock.mono()));
      if (open.back()->is_over())
        open.pop_back();
    }
    if (!open.empty())
      wait_for_any(open, clock);
    std::erase_if(open, [](const Exchange* exchange) { return exchange->is_over(); });
  } while (!open.empty() || all.size() < requests.size());
  std::vector<Result<ProbeAnswer>> answers;
  for (Exchange& exchange : all)
    answers.push_back(exchange.take());
  return answers;
}

Result<ProbeAnswer> probe(const Probe& request) {
  return std::move(probe_all({&request, 1}).front());
}

} // namespace chillbox::os
