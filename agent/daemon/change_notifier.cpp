#include "daemon/change_notifier.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

namespace chillbox::daemon {

ChangeNotifier::ChangeNotifier() : m_event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void ChangeNotifier::notify() {
  {
    const std::lock_guard lock(m_mutex);
    ++m_count;
  }
  m_changed.notify_all();
  const uint64_t one = 1;
  (void)!::write(m_event.get(), &one, sizeof one);
}

uint64_t ChangeNotifier::count() {
  const std::lock_guard lock(m_mutex);
  return m_count;
}

void ChangeNotifier::wait(uint64_t seen, os::Millis time) {
  std::unique_lock lock(m_mutex);
  m_changed.wait_for(lock, time, [&] { return m_count != seen; });
}

void ChangeNotifier::clear() {
  uint64_t rings = 0;
  (void)!::read(m_event.get(), &rings, sizeof rings);
}

} // namespace chillbox::daemon
