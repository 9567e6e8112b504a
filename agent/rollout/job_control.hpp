// What others may ask of a running job.
#pragma once

#include "os/clock.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

namespace chillbox::rollout {

// What a job needs of its site, which its engine grants; a job that runs alone has all of it at
// once. The job that watches its release has given the site's slots away: the next job of the site
// runs next to it, takes them when it starts its copies, and ends the watch when it is about to
// switch.
class Turn {
public:
  Turn() = default;
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  virtual ~Turn() = default;
  // From here on the job waits for its own site, for as long as that says: no other site may have
  // to wait for it.
  virtual void let_go() {}
  virtual void watch_begins() {}
  // Ends the watch. Bad: a job that has the slots gives them back, and begins again. False: the old
  // slot is the next job's, this one leaves it alone.
  virtual bool watch_ends(bool) { return true; }
  // Waits until no other job of the site has the slots, or this one is to end.
  virtual void take_slots() {}
  virtual void give_slots() {}
  // The old copies end, each in its time, and keep the slots: the next job may begin, and waits
  // when it needs them.
  virtual void retires() {}
  // Ends the watch of another job of the site and waits for that job's end, or until this one is
  // to end.
  virtual void end_watch() {}
};

class JobControl {
public:
  JobControl() = default;
  // Of a part of a job that has a life of its own: it stops when the job is to stop.
  explicit JobControl(const JobControl* whole) : m_whole(whole) {}
  void cancel() { ask(m_cancel); }       // give up unless it has switched
  void cut_watch() { set(m_cut_watch); } // stop watching; the verdict so far holds
  void hurry() { set(m_hurry); }         // somebody waits for what the job ends
  void yield() { ask(m_yield); }         // undo what was done and begin again; likewise
  void stop() { set(m_stop); } // the daemon ends: leave everything as it is, the journal knows
  bool cancelled() const { return m_cancel || m_yield || stopping(); }
  bool yielded() const { return m_yield; }
  bool hurried() const { return m_hurry; }
  bool stopping() const { return m_stop || (m_whole != nullptr && m_whole->stopping()); }
  bool watch_is_cut() const { return m_cut_watch || stopping(); }
  Turn& turn() { return m_turn != nullptr ? *m_turn : m_alone; }
  void set_turn(Turn& turn) { m_turn = &turn; }
  // Sleeps; returns early when something was asked.
  void wait(os::Millis time);
  void pause(os::Millis time); // only when the daemon ends
  // From here on the job goes to its end: what was asked in the last moment before is forgotten.
  void has_switched();
  // Since it was accepted, by a clock that nobody sets; without it the wall clock says.
  std::optional<os::Millis> waited;
  std::atomic<bool> watching{false};
  std::atomic<bool> switched{false};

private:
  void set(std::atomic<bool>& flag);
  void ask(std::atomic<bool>& flag); // unless it has switched
  const JobControl* m_whole = nullptr;
  Turn m_alone;
  Turn* m_turn = nullptr;
  std::atomic<bool> m_cancel{false}, m_yield{false}, m_hurry{false}, m_cut_watch{false},
      m_stop{false};
  std::mutex m_mutex;
  std::condition_variable m_changed;
};

} // namespace chillbox::rollout
