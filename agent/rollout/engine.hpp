// Runs the jobs: those of one site one after the other, those of different sites side by side, at most `jobs_max`, each on a thread that exists
// only while it has work. A rollback cancels a deploy or another rollback of its site that has not switched: two of them in a row would go
// forward again. Whatever is queued for a site ends its watch.
#pragma once

#include "rollout/bring_up.hpp"
#include "rollout/rollout.hpp"
#include "rollout/world.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::rollout {

class Engine {
public:
  explicit Engine(World& world) : m_world(world) {}
  ~Engine() { stop(); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // At start: sites are brought up, then their jobs go on; those that were under way are recovered first. Returns at once.
  void recover();
  void submit(const std::string& job);       // it is in the store, queued
  void cancel(const std::string& job);       // when it runs and has not switched
  void uploaded(const std::string& sha256);  // waiting_upload jobs of this digest go on
  // Every site is brought up, waiting_unlock jobs go on. Waits at most `limit`; the sites that came up whole.
  std::vector<std::string> unlocked(os::Millis limit);
  // The time (monotonic) when the oldest wait for an upload is over; nullopt: nothing waits, no timer is needed.
  std::optional<os::Millis> next_deadline();
  void expire();                             // jobs whose wait is over go on, and fail
  // In the site's turn, so that no job of it runs meanwhile, on a thread of its own.
  void alone(const SiteName& site, std::function<void()> work);
  size_t running();
  void stop();                               // running jobs stop where they are (the journal knows), threads end

private:
  struct Task {
    std::string job;                         // "" : bring the site up, or
    std::function<void()> other = {};        // something else
    store::JobKind kind = store::JobKind::start;
    std::function<void(const Result<BroughtUp>&)> done = {};
  };
  struct Running {
    Signals signals;
    store::JobKind kind{};
    std::string job;                         // "" : it is none
  };
  void enqueue(const SiteName& site, Task task); // with m_mutex held
  void schedule();                               // with m_mutex held
  void work(SiteName site, Task task, std::shared_ptr<Running> running);
  void requeue(const std::function<bool(const store::Job&)>& which);
  // With m_mutex held. How long a job has waited: by the wall clock when it is first seen, which may be by a new daemon, from then on by the
  // monotonic one, so that a clock that is set ends no wait and prolongs none (faults 98).
  os::Millis waited(const store::Job& job);
  bool wait_is_over(const store::Job& job);
  void note_deadline(const store::Job& job);     // with m_mutex held

  World& m_world;
  std::mutex m_mutex;
  std::condition_variable m_idle;
  std::map<SiteName, std::deque<Task>> m_queues;
  std::deque<SiteName> m_turns; // sites in the order in which their first task came
  std::map<SiteName, std::shared_ptr<Running>> m_running;
  std::map<std::string, os::Millis> m_since; // when the jobs that wait began to
  std::optional<os::Millis> m_deadline; // the earliest that is known; may be of a job whose upload came meanwhile
  bool m_stopping = false;
};

} // namespace chillbox::rollout
