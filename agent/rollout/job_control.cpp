#include "rollout/job_control.hpp"

namespace chillbox::rollout {

void JobControl::set(std::atomic<bool>& flag) {
  {
    const std::lock_guard lock(m_mutex);
    flag = true;
  }
  m_changed.notify_all();
}

void JobControl::ask(std::atomic<bool>& flag) {
  {
    const std::lock_guard lock(m_mutex);
    if (switched)
      return;
    flag = true;
  }
  m_changed.notify_all();
}

void JobControl::has_switched() {
  const std::lock_guard lock(m_mutex);
  switched = true;
  m_cancel = m_yield = false;
}

void JobControl::pause(os::Millis time) {
  constexpr os::Millis k_look{100}; // at the whole
  const auto end = std::chrono::steady_clock::now() + time;
  std::unique_lock lock(m_mutex);
  while (!stopping() && std::chrono::steady_clock::now() < end)
    m_changed.wait_for(lock, k_look);
}

void JobControl::wait(os::Millis time) {
  std::unique_lock lock(m_mutex);
  m_changed.wait_for(
      lock, time, [this] { return m_cancel || m_yield || m_stop || (m_cut_watch && watching); });
}

} // namespace chillbox::rollout
