// Threads with an end: the owner of the group waits for all of them. None of them can end the
// process: an exception is logged and ends its thread alone, and a thread that cannot be had is an
// error that the caller reports.
#pragma once

#include "base/error.hpp"

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string_view>

namespace chillbox {

class ThreadGroup {
public:
  ThreadGroup() = default;
  // on_end: after each end, while the group is still there; it must not throw, nor ask the group.
  explicit ThreadGroup(std::function<void()> on_end) : m_on_end(std::move(on_end)) {}
  ~ThreadGroup() { wait(); }
  ThreadGroup(const ThreadGroup&) = delete;
  ThreadGroup& operator=(const ThreadGroup&) = delete;
  // Runs `work` in a thread of its own; what it captured is gone before the thread counts as ended.
  // throttled: there is none to be had, and `work` does not run.
  Result<void> start(std::string_view what, std::function<void()> work);
  size_t size();
  void wait(); // until the last has ended

private:
  void ended();

  std::function<void()> m_on_end;
  std::mutex m_mutex;
  std::condition_variable m_changed;
  size_t m_running = 0;
};

} // namespace chillbox
