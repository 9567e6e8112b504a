// Rings when a job has something new: threads that follow it wait here, and the main loop wakes by
// the descriptor.
#pragma once

#include "base/fd.hpp"
#include "os/clock.hpp"

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace chillbox::daemon {

class ChangeNotifier {
public:
  ChangeNotifier();
  void notify();
  uint64_t count();
  // Until it rang since `seen`, or the time is over.
  void wait(uint64_t seen, os::Millis time);
  int fd() const { return m_event.get(); } // readable after a ring; silence() takes that back
  void clear();

private:
  Fd m_event;
  std::mutex m_mutex;
  std::condition_variable m_changed;
  uint64_t m_count = 0;
};

} // namespace chillbox::daemon
