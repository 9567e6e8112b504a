#include "edge/sessions.hpp"

#include "base/guarded.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "edge/connection.hpp"
#include "os/socket.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace chillbox::edge {
namespace {

// How late an idle connection may be closed; only while there is any.
constexpr int k_tick_ms = 2'000;
constexpr os::Millis k_report_pause{1'000}; // between two lines of the log
constexpr os::Millis k_breath{100}; // after an accept that failed and would fail again at once

} // namespace

Result<void> Sessions::watch(int fd, int operation, uint32_t events) const {
  epoll_event event{.events = events, .data = {.fd = fd}};
  if (::epoll_ctl(m_epoll.get(), operation, fd, &event) != 0)
    return fail_errno("epoll_ctl", errno);
  return {};
}

Result<void> Sessions::run() {
  m_epoll = Fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!m_epoll)
    return fail_errno("epoll_create1", errno);
  const int listener = m_options.listener_fd;
  // A client that is gone again before accept must not hold up the others.
  if (::fcntl(listener, F_SETFL, ::fcntl(listener, F_GETFL) | O_NONBLOCK) < 0)
    return fail_errno("listener", errno);
  TRY(watch(listener, EPOLL_CTL_ADD, EPOLLIN));
  std::array<epoll_event, 64> events;
  for (;;) {
    const int n =
        ::epoll_wait(m_epoll.get(), events.data(), static_cast<int>(events.size()), timeout());
    if (n < 0 && errno != EINTR)
      return fail_errno("epoll_wait", errno);
    for (int i = 0; i < n; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (!guarded("a connection", [&] { fd == listener ? accept_next() : begin(fd); }))
        os::real_clock().sleep(k_breath); // no memory, mostly: not at once again
    }
    (void)guarded("webhooks", [this] { m_monitor.send_asked(); });
    if (n == 0)
      close_idle();
  }
}

// Once a second, and before the loop goes to sleep: a later refusal has a connection, which wakes
// it up again.
bool Sessions::report_is_due() {
  const std::scoped_lock lock(m_mutex);
  if (!m_sessions.empty() && now() < m_report_at)
    return false;
  m_report_at = now() + k_report_pause;
  return true;
}

// Milliseconds; -1, without a timer, while there is no connection.
int Sessions::timeout() {
  const auto next = m_monitor.expire();
  if (report_is_due())
    m_monitor.report_refused();
  const std::scoped_lock lock(m_mutex);
  if (m_sessions.empty())
    return -1;
  return static_cast<int>(std::min<int64_t>(k_tick_ms, next ? next->count() + 1 : k_tick_ms));
}

void Sessions::accept_next() {
  auto accepted = os::accept(m_options.listener_fd);
  if (!accepted) {
    if (accepted.error().code == Code::throttled)
      os::real_clock().sleep(k_breath); // it is still in the queue
    return;
  }
  const int fd = accepted->get();
  const std::scoped_lock lock(m_mutex);
  m_sessions.insert_or_assign(
      fd, Session{.fd = std::move(*accepted), .idle_until = now() + m_options.idle});
  if (!watch(fd, EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT))
    m_sessions.erase(fd);
  if (m_sessions.size() >= m_options.connections)
    set_accepting(false);
}

// Not while all sessions are taken: new clients then wait in the listener's backlog, and the kernel
// refuses those that do not fit in there.
void Sessions::set_accepting(bool accepting) {
  accepting = accepting && !m_draining;
  if (m_accepting == accepting)
    return;
  m_accepting = accepting;
  (void)watch(m_options.listener_fd, EPOLL_CTL_MOD, accepting ? uint32_t{EPOLLIN} : 0U);
}

void Sessions::begin(int fd) {
  Session* session = nullptr;
  {
    const std::scoped_lock lock(m_mutex);
    const auto found = m_sessions.find(fd);
    if (found == m_sessions.end() || found->second.busy)
      return;
    session = &found->second; // it stays while it is busy
    session->busy = true;
  }
  std::optional<Server::Next> next;
  try {
    next = m_server.begin(fd, session->buffers, session->served,
        [this, fd](std::shared_ptr<PendingRequest> pending) { answered(fd, std::move(pending)); });
  } catch (
      const std::exception& e) { // no memory, mostly: this connection ends, the others continue
    log::error(cat("a request ended: ", printable(e.what())));
    next = Server::Next::close;
  }
  if (!next)
    hand_over({fd, nullptr});
  else if (*next != Server::Next::pending)
    give_back(fd, *next);
}

void Sessions::answered(int fd, std::shared_ptr<PendingRequest> pending) {
  if (const auto next = m_server.send(*pending))
    give_back(fd, *next);
  else
    hand_over({fd, std::move(pending)});
}

void Sessions::hand_over(Task task) {
  const std::scoped_lock lock(m_mutex);
  m_queue.push_back(std::move(task));
  if (m_waiting < m_queue.size() && m_workers.size() < m_options.workers)
    if (const auto started = m_workers.start("a worker", [this] { work(); }); !started)
      log::error(started.error().message); // a worker that has become free will take it
  m_ready.notify_one();
}

void Sessions::close_idle() {
  const std::scoped_lock lock(m_mutex);
  std::erase_if(m_sessions, [at = now()](const auto& entry) {
    return !entry.second.busy && entry.second.idle_until <= at;
  });
  if (m_sessions.size() < m_options.connections)
    set_accepting(true);
}

void Sessions::work() {
  for (;;) {
    std::unique_lock lock(m_mutex);
    ++m_waiting;
    m_ready.wait(lock, [this] { return !m_queue.empty(); });
    --m_waiting;
    const Task task = std::move(m_queue.front());
    m_queue.pop_front();
    lock.unlock();
    auto next = Server::Next::close;
    try {
      next = run_task(task);
    } catch (const std::exception& e) {
      log::error(cat("a request ended: ", printable(e.what())));
    }
    if (next != Server::Next::pending)
      give_back(task.fd, next);
  }
}

Server::Next Sessions::run_task(const Task& task) {
  if (task.pending)
    return m_server.finish(*task.pending);
  std::unique_lock lock(m_mutex);
  Session& session = m_sessions.at(task.fd);
  lock.unlock();
  return m_server.serve(task.fd, session.buffers, session.served,
      [this, fd = task.fd](
          std::shared_ptr<PendingRequest> pending) { answered(fd, std::move(pending)); });
}

void Sessions::give_back(int fd, Server::Next next) {
  const std::scoped_lock lock(m_mutex);
  Session& session = m_sessions.at(fd);
  session.buffers.reset();
  session.busy = false;
  ++session.served;
  session.idle_until = now() + m_options.idle;
  if (next == Server::Next::another && !m_draining &&
      watch(fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT))
    return;
  m_sessions.erase(fd);
  if (m_sessions.size() < m_options.connections)
    set_accepting(true);
  end_when_drained();
}

void Sessions::drain() {
  const std::scoped_lock lock(m_mutex);
  m_draining = true;
  set_accepting(false);
  // A client without an answer yet is about to ask, or has asked already.
  std::erase_if(
      m_sessions, [](const auto& entry) { return !entry.second.busy && entry.second.served > 0; });
  end_when_drained();
}

void Sessions::end_when_drained() {
  if (m_draining && m_sessions.empty())
    ::_exit(0);
}

} // namespace chillbox::edge
