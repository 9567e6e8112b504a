#include "courier/follow.hpp"

#include "courier/etcd.hpp"

#include <sys/socket.h>

#include <algorithm>

namespace chillbox::courier {
namespace {

// Of members that do not answer, nothing says when they do again.
constexpr os::Millis k_first_pause{500}, k_longest_pause{10'000};
constexpr os::Millis k_watch_begin{2'000};
constexpr os::Millis k_breath{100}; // of a member that takes watches and ends them

} // namespace

// What happened before the watch began is in what the monitor reads after it has: no revision is
// kept, so none can be compacted away.
Result<void> Follower::watch(bool& begun) {
  const AnswerHead head = TRY(
      m_members.begin_stream(m_line, "/v3/watch", watch_body(m_members.access().root(), m_prefix)));
  {
    const std::lock_guard lock(m_mutex);
    m_socket = m_line.connection->socket();
  }
  AnswerBody body(head);
  std::string text;
  for (;;) {
    const bool over = TRY(body.take(m_line.bytes, text));
    for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
      const WatchLine line = parse_watch_line(std::string_view(text).substr(0, end));
      text.erase(0, end + 1);
      if (line == WatchLine::over && !begun)
        m_members.forget_token(); // so it says that it does not know it
      if (line == WatchLine::over)
        return fail(Code::unreachable, "the member ended the watch");
      begun = begun || line == WatchLine::begun;
      if (line == WatchLine::begun)
        m_report.touch("");
      if (line != WatchLine::other)
        m_report.changed(m_prefix);
    }
    if (over)
      return fail(Code::unreachable, "the member ended the watch");
    const auto more =
        m_line.connection->read(m_line.bytes, begun ? os::Deadline() : os::Deadline(k_watch_begin));
    if (!more && !begun)
      m_members.forget_token();
    TRY(more);
  }
}

void Follower::run() {
  size_t tried = 0;
  for (os::Millis pause = k_first_pause;;) {
    bool begun = false;
    const auto over = watch(begun);
    {
      const std::lock_guard lock(m_mutex);
      m_socket = -1;
    }
    m_line.close();
    m_line.member = (m_line.member + 1) % m_members.size();
    if (begun) {
      tried = 0;
      pause = k_first_pause;
      os::real_clock().sleep(k_breath);
      continue; // at another member
    }
    if (++tried % m_members.size() != 0)
      continue;
    m_report.touch("no majority of the fleet's engine answers; " +
        m_members.access().endpoints[m_line.member].host + ": " + over.error().message);
    os::real_clock().sleep(pause); // all of them were asked
    pause = std::min(2 * pause, k_longest_pause);
  }
}

void Follower::look_again() {
  const std::lock_guard lock(m_mutex);
  if (m_socket >= 0)
    ::shutdown(m_socket, SHUT_RDWR);
}

} // namespace chillbox::courier
