#include "rollout/job_control.hpp"

namespace chillbox::rollout {

void JobControl::set(std::atomic<bool>& flag) {
  {
    const std::lock_guard lock(m_mutex);
    flag = true;
  }
  m_changed.notify_all();
}

void JobControl::wait(os::Millis time) {
  std::unique_lock lock(m_mutex);
  m_changed.wait_for(
      lock, time, [this] { return m_cancel || m_yield || m_stop || (m_cut_watch && watching); });
}

} // namespace chillbox::rollout
