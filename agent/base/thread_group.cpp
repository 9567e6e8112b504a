#include "base/thread_group.hpp"

#include "base/guarded.hpp"
#include "base/text.hpp"

#include <memory>
#include <thread>

namespace chillbox {

Result<void> ThreadGroup::start(std::string_view what, std::function<void()> work) {
  {
    const std::lock_guard lock(m_mutex);
    ++m_running;
  }
  const auto started = guarded("start a thread", [&] {
    std::thread([this, name = std::string(what), work = std::move(work)]() mutable {
      (void)guarded(name, work);
      work = nullptr;
      ended();
    }).detach();
  });
  if (started)
    return {};
  ended();
  return fail(Code::throttled, cat(what, ": the host has no thread left now: try again"));
}

// All within the lock: once it is let go the group may be gone.
void ThreadGroup::ended() {
  const std::lock_guard lock(m_mutex);
  --m_running;
  if (m_on_end)
    m_on_end();
  m_changed.notify_all();
}

size_t ThreadGroup::size() {
  const std::lock_guard lock(m_mutex);
  return m_running;
}

void ThreadGroup::wait() {
  std::unique_lock lock(m_mutex);
  m_changed.wait(lock, [this] { return m_running == 0; });
}

} // namespace chillbox
