#include "edge/connection.hpp"

#include "base/text.hpp"
#include "os/io.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace chillbox::edge {
namespace {

constexpr size_t k_head_piece = 4096;          // of a head; most are smaller
constexpr size_t k_kept = 8192;                // of a buffer between two requests
constexpr size_t k_read_available = 64 * 1024; // without waiting
constexpr size_t k_move = 256 * 1024;          // of a body into a pipe
constexpr os::Millis k_linger{1'000};
constexpr uint64_t k_linger_bytes = 256 * 1024;

} // namespace

void Buffers::reset() {
  for (std::string* s : {&in, &out}) {
    if (s->capacity() > k_kept)
      *s = {};
    s->clear();
  }
}

Connection::Connection(int fd, Buffers& buffers, os::Millis deadline)
    : m_fd(fd), m_buffers(buffers), m_deadline(deadline) {
  m_buffers.out.clear();
}

Result<void> Connection::wait(short events, os::Millis deadline) const {
  for (;;) {
    const auto left = deadline - now();
    if (left <= os::Millis::zero())
      return fail(Code::timed_out, "the client was too slow");
    pollfd p{m_fd, events, 0};
    const int n = ::poll(&p, 1, static_cast<int>(std::min<int64_t>(left.count(), 60'000)));
    if (n > 0)
      return {};
    if (n < 0 && errno != EINTR)
      return fail_errno("poll", errno);
  }
}

Result<size_t> Connection::receive(char* data, size_t size) {
  for (;;) {
    // Drip by drip each byte would come in time: the deadline is looked at also when there is
    // something to read.
    if (now() >= m_deadline)
      return fail(Code::timed_out, "the client was too slow");
    const ssize_t n = ::recv(m_fd, data, size, MSG_DONTWAIT);
    if (n >= 0)
      return static_cast<size_t>(n);
    if (errno == EAGAIN)
      TRY(wait(POLLIN, m_deadline));
    else if (errno != EINTR)
      return fail(Code::unreachable, "the client is gone");
  }
}

Result<Connection::ReadHead> Connection::read_head() {
  std::string& in = m_buffers.in;
  for (size_t looked = 0;;) {
    size_t size = 0;
    if (auto refusal = find_head(in, looked, size))
      return ReadHead{{}, std::move(refusal)};
    if (size > 0) {
      m_taken = size;
      return ReadHead{std::string_view(in).substr(0, size), std::nullopt};
    }
    looked = in.size();
    in.resize(looked + k_head_piece);
    const auto got = receive(in.data() + looked, k_head_piece);
    in.resize(looked + (got ? *got : 0));
    if (!got)
      return std::unexpected(got.error());
    if (*got == 0)
      return fail(Code::unreachable, "the client is gone");
  }
}

bool Connection::read_available() {
  std::string& in = m_buffers.in;
  for (;;) {
    const size_t before = in.size();
    ssize_t n = 0;
    in.resize(before + k_head_piece);
    while (
        (n = ::recv(m_fd, in.data() + before, k_head_piece, MSG_DONTWAIT)) < 0 && errno == EINTR) {}
    in.resize(before + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (n == 0 || (n < 0 && errno != EAGAIN))
      return false;
    if (n < static_cast<ssize_t>(k_head_piece) || in.size() > k_read_available)
      return true;
  }
}

std::optional<std::string_view> Connection::whole_body() {
  if (m_buffers.in.size() - m_taken < m_body_left)
    return std::nullopt;
  const auto body =
      std::string_view(m_buffers.in).substr(m_taken, static_cast<size_t>(m_body_left));
  m_taken += body.size();
  m_body_left = 0;
  return body;
}

Result<size_t> Connection::read_body(char* data, size_t size) {
  size = static_cast<size_t>(std::min<uint64_t>(size, m_body_left));
  if (size == 0)
    return size_t{0};
  const size_t early = std::min(size, m_buffers.in.size() - m_taken);
  size_t got = early;
  if (early > 0) {
    std::copy_n(m_buffers.in.data() + m_taken, early, data);
    m_taken += early;
  } else {
    got = TRY(receive(data, size));
  }
  if (got == 0)
    return fail(Code::unreachable, "the client is gone");
  m_body_left -= got;
  return got;
}

Result<int> Connection::move_body(int pipe) {
  const size_t early =
      static_cast<size_t>(std::min<uint64_t>(m_body_left, m_buffers.in.size() - m_taken));
  if (early > 0) {
    std::string_view rest = std::string_view(m_buffers.in).substr(m_taken, early);
    m_taken += early;
    m_body_left -= early;
    return os::write_fully(pipe, rest);
  }
  for (;;) {
    // Only what is there is taken: it does not wait for the client, but for room in the pipe.
    TRY(wait(POLLIN, m_deadline));
    const ssize_t n = ::splice(m_fd, nullptr, pipe, nullptr,
        static_cast<size_t>(std::min<uint64_t>(m_body_left, k_move)), SPLICE_F_MOVE);
    if (n > 0) {
      m_body_left -= static_cast<uint64_t>(n);
      return 0;
    }
    if (n == 0 || errno == ECONNRESET)
      return fail(Code::unreachable, "the client is gone");
    if (errno != EINTR && errno != EAGAIN)
      return errno;
  }
}

Result<bool> Connection::flush_available() {
  std::string& out = m_buffers.out;
  size_t sent = 0;
  while (sent < out.size()) {
    const ssize_t n =
        ::send(m_fd, out.data() + sent, out.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
      sent += static_cast<size_t>(n);
    else if (errno == EAGAIN)
      break;
    else if (errno != EINTR)
      return fail(Code::unreachable, "the client is gone");
  }
  out.erase(0, sent);
  return out.empty();
}

Result<void> Connection::flush() {
  while (!TRY(flush_available()))
    TRY(wait(POLLOUT, m_deadline));
  return {};
}

bool Connection::has_pending_input() const {
  if (m_taken < m_buffers.in.size())
    return true;
  char one;
  return ::recv(m_fd, &one, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

void Connection::linger() {
  if (m_body_left == 0 && !has_pending_input())
    return;
  ::shutdown(m_fd, SHUT_WR);
  m_deadline = now() + k_linger;
  char waste[4096];
  for (uint64_t taken = 0; taken < k_linger_bytes;) {
    const auto got = receive(waste, sizeof waste);
    if (!got || *got == 0)
      return;
    taken += *got;
  }
}

} // namespace chillbox::edge
