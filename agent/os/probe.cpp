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
#include <map>
#include <memory>
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

// Of the first answer in these bytes. size: of its head and, with a Content-Length, its body: a
// server that keeps the connection open shall not cost us the whole deadline.
struct Extent {
  bool head = false, length = false; // these were read
  std::optional<size_t> size;        // and all of it was
};
Extent extent_of(std::string_view bytes) {
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos)
    return {};
  const auto length = parse_u64(header(bytes.substr(0, end), "content-length"));
  const bool whole = length && bytes.size() - end - 4 >= *length;
  return {.head = true,
      .length = length.has_value(),
      .size = whole ? std::optional(end + 4 + static_cast<size_t>(*length)) : std::nullopt};
}

Result<ProbeAnswer> parse_answer(std::string_view bytes) {
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos && bytes.size() >= k_max_answer && bytes.starts_with("HTTP/1."))
    return fail(Code::invalid,
        cat("the head of the answer has over ", k_max_answer / 1024, " KiB, which is the limit"));
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

std::string request_text(const Probe& p, bool last) {
  return cat("GET ", p.path, " HTTP/1.0\r\nHost: ", p.host, "\r\nUser-Agent: chillbox\r\n",
      forwarded(p), last ? "Connection: close\r\n\r\n" : "Connection: keep-alive\r\n\r\n");
}

bool can_be_sent(const Probe& p) {
  return p.path.starts_with('/') && is_plain(p.path) && is_plain(p.host);
}

// Probes, and where each one's answer goes.
struct Questions {
  std::span<const Probe> probes;
  std::vector<std::optional<Result<ProbeAnswer>>> answers;
  void answer(size_t i, Result<ProbeAnswer> text) {
    answers[i] = text ? std::move(text)
                      : Result<ProbeAnswer>(within(place_of(probes[i]), std::move(text).error()));
  }
};

// One connection, and what is asked on it: one question, or several that share it. It never blocks,
// and its owner waits for what it waits for.
class Exchange {
public:
  Exchange(Questions& questions, std::vector<size_t> asked, Millis now)
      : m_questions(questions), m_asked(std::move(asked)),
        m_deadline(now + (is_shared() ? probe().timeout / 2 : probe().timeout)) {
    for (const size_t i : m_asked)
      m_request += request_text(questions.probes[i], i == m_asked.back());
    go_on(now);
  }
  bool is_over() const { return m_over; }
  // Those that share it and were not answered: they are asked alone.
  std::span<const size_t> left() const { return std::span(m_asked).subspan(m_next); }
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
    if (!m_over && now >= m_deadline)
      failed(late().error());
  }

private:
  static constexpr Millis k_again{5}; // room in the queue of a listener is no event

  const Probe& probe() const { return m_questions.probes[m_asked[m_next]]; }
  bool is_shared() const { return m_asked.size() > 1; }
  void end(Result<ProbeAnswer> answer) {
    m_questions.answer(m_asked[m_next], std::move(answer));
    if (++m_next == m_asked.size())
      close();
  }
  void close() {
    m_over = true;
    m_fd.reset();
  }
  void failed(Error error) {
    if (is_shared())
      return close();
    end(std::unexpected(std::move(error)));
  }
  std::unexpected<Error> late() const {
    if (!m_fd) // the listener's queue is full
      return fail(Code::unreachable,
          cat("connect to ", probe().socket, ": no answer within ", probe().timeout.count(),
              " ms"));
    return fail(Code::timed_out,
        !m_sent               ? "connect: no answer"
            : m_bytes.empty() ? "no answer"
                              : "the answer does not end");
  }
  bool connect() {
    auto fd = probe().socket.empty() ? try_connect_loopback(probe().port)
                                     : try_connect_unix(probe().socket);
    if (fd)
      m_fd = std::move(*fd);
    else if (fd.error().code != Code::busy)
      failed(std::move(fd).error());
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
      const Error why =
          fail_errno(error != 0 ? "connect" : "write", error != 0 ? error : errno).error();
      failed(fail(Code::unreachable, why.message).error());
      return false;
    }
    m_request.erase(0, static_cast<size_t>(n));
    return m_sent = m_request.empty();
  }
  void receive() {
    std::array<char, 8192> buffer;
    for (take(); !m_over; take()) {
      const ssize_t n = ::recv(m_fd.get(), buffer.data(),
          std::min(buffer.size(), k_max_answer - m_bytes.size()), MSG_DONTWAIT);
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0 && errno == EAGAIN)
        return;
      if (n < 0)
        return failed(fail(Code::unreachable, fail_errno("read", errno).error().message).error());
      m_closed = n == 0;
      m_bytes.append(buffer.data(), static_cast<size_t>(n));
    }
  }
  // The answers that were read. A shared connection has as many as say their length.
  void take() {
    while (!m_over) {
      const auto [head, length, size] = extent_of(m_bytes);
      const bool no_more = m_closed || m_bytes.size() >= k_max_answer;
      if (!size && !no_more && !(is_shared() && head && !length))
        return;
      const size_t read = size.value_or(m_bytes.size());
      auto answer = parse_answer(std::string_view(m_bytes).substr(0, read));
      if (is_shared() && (!size || !answer))
        return close();
      m_bytes.erase(0, read);
      end(std::move(answer));
    }
  }

  Questions& m_questions;
  std::vector<size_t> m_asked;
  size_t m_next = 0; // of those, the first without an answer
  Millis m_deadline;
  Fd m_fd;
  std::string m_request, m_bytes;
  bool m_sent = false, m_closed = false, m_over = false;
};

// Until one of them can go on, or is late.
void wait_for_any(std::span<const std::unique_ptr<Exchange>> open, const Clock& clock) {
  std::vector<pollfd> fds;
  Millis wait{INT32_MAX};
  for (const auto& exchange : open) {
    fds.push_back(exchange->waits_for());
    wait = std::min(wait, exchange->wait(clock.mono()));
  }
  ::poll(fds.data(), fds.size(), static_cast<int>(wait.count()));
  const Millis now = clock.mono();
  for (size_t i = 0; i < fds.size(); ++i)
    if (fds[i].revents != 0 || fds[i].fd < 0 || open[i]->wait(now) <= Millis{0})
      open[i]->go_on(now);
}

// What is asked on one connection each: those of a port that share one first, as they take as long
// as all of theirs.
std::deque<std::vector<size_t>> connections(Questions& questions) {
  std::map<uint16_t, std::vector<size_t>> shared;
  std::deque<std::vector<size_t>> all;
  for (size_t i = 0; i < questions.probes.size(); ++i) {
    const Probe& p = questions.probes[i];
    if (!can_be_sent(p))
      questions.answer(i,
          fail(Code::invalid,
              cat("'", printable(p.path, 80), "' is not a path that can be requested")));
    else if (p.shared && p.socket.empty())
      shared[p.port].push_back(i);
    else
      all.push_back({i});
  }
  for (auto& [port, together] : shared)
    all.push_front(std::move(together));
  return all;
}

} // namespace

std::vector<Result<ProbeAnswer>> probe_all(std::span<const Probe> requests) {
  const Clock& clock = real_clock();
  Questions questions{requests, {}};
  questions.answers.resize(requests.size());
  auto waiting = connections(questions);
  std::vector<std::unique_ptr<Exchange>> open;
  while (!open.empty() || !waiting.empty()) {
    while (open.size() < k_probes_at_once && !waiting.empty()) {
      open.push_back(
          std::make_unique<Exchange>(questions, std::move(waiting.front()), clock.mono()));
      waiting.pop_front();
    }
    if (std::ranges::none_of(open, &Exchange::is_over))
      wait_for_any(open, clock);
    std::erase_if(open, [&](const auto& exchange) {
      if (exchange->is_over())
        for (const size_t i : exchange->left())
          waiting.push_back({i});
      return exchange->is_over();
    });
  }
  std::vector<Result<ProbeAnswer>> answers;
  for (auto& answer : questions.answers)
    answers.push_back(std::move(*answer));
  return answers;
}

Result<ProbeAnswer> probe(const Probe& request) {
  return std::move(probe_all({&request, 1}).front());
}

} // namespace chillbox::os
