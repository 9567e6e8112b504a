#include "cli/http/watch.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <csignal>

namespace chillbox::cli {

TransferWatch::TransferWatch(Time deadline, Time stall)
    : m_deadline(deadline == Time::max() ? Clock::time_point::max() : Clock::now() + deadline),
      m_stall(stall) {
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before); // Ctrl-C is the other threads' matter
  m_thread = std::thread([this] { run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TransferWatch::~TransferWatch() {
  {
    const std::scoped_lock lock(m_mutex);
    m_done = true;
  }
  m_changed.notify_one();
  m_thread.join();
}

void TransferWatch::adopt(int socket) {
  const std::scoped_lock lock(m_mutex);
  m_socket = Fd(::fcntl(socket, F_DUPFD_CLOEXEC, 3));
  m_moved = Clock::now();
}

void TransferWatch::moved() {
  const std::scoped_lock lock(m_mutex);
  m_moved = Clock::now();
}

void TransferWatch::allow_stall(Time stall) {
  const std::scoped_lock lock(m_mutex);
  m_stall = stall;
  m_moved = Clock::now();
}

TransferWatch::Time TransferWatch::stall() const {
  const std::scoped_lock lock(m_mutex);
  return m_stall;
}

TransferWatch::Verdict TransferWatch::verdict() const {
  const std::scoped_lock lock(m_mutex);
  return m_verdict;
}

TransferWatch::Clock::time_point TransferWatch::ends() const {
  return m_stall == Time::max() ? m_deadline : std::min(m_deadline, m_moved + m_stall);
}

void TransferWatch::run() {
  constexpr std::chrono::hours k_long{1}; // wait_until() does not take the end of time
  std::unique_lock lock(m_mutex);
  while (!m_done) {
    const auto now = Clock::now();
    if (now < ends()) {
      m_changed.wait_until(lock, std::min(ends(), now + k_long));
      continue;
    }
    m_verdict = now >= m_deadline ? Verdict::deadline : Verdict::stalled;
    ::shutdown(m_socket.get(), SHUT_RDWR);
    // Again and again, because the library may try another address.
    m_changed.wait_for(lock, std::chrono::milliseconds(100));
  }
}

} // namespace chillbox::cli
