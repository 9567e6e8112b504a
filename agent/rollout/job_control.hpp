// What others may ask of a running job.
#pragma once

#include "os/clock.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>

namespace chillbox::rollout {

class JobControl {
public:
  JobControl() = default;
  // Of a part of a job that has a life of its own: it stops when the job is to stop.
  explicit JobControl(const JobControl* whole) : m_whole(whole) {}
  void cancel() { set(m_cancel); }       // give up unless it has switched
  void cut_watch() { set(m_cut_watch); } // stop watching; the verdict so far holds
  void stop() { set(m_stop); } // the daemon ends: leave everything as it is, the journal knows
  bool cancelled() const { return m_cancel || stopping(); }
  bool stopping() const { return m_stop || (m_whole != nullptr && m_whole->stopping()); }
  bool watch_is_cut() const { return m_cut_watch || stopping(); }
  // The job says that from here on it waits for its own site, for as long as that says: no other
  // site may have to wait for it.
  void let_go() const {
    if (on_let_go)
      on_let_go();
  }
  std::function<void()> on_let_go;
  // Sleeps; returns early when something was asked.
  void wait(os::Millis time);
  // Since it was accepted, by a clock that nobody sets; without it the wall clock says.
  std::optional<os::Millis> waited;
  std::atomic<bool> watching{false};
  std::atomic<bool> switched{false};

private:
  void set(std::atomic<bool>& flag);
  const JobControl* m_whole = nullptr;
  std::atomic<bool> m_cancel{false}, m_cut_watch{false}, m_stop{false};
  std::mutex m_mutex;
  std::condition_variable m_changed;
};

} // namespace chillbox::rollout
