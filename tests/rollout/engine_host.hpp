// A host with an engine: jobs run on its threads, tests wait for what they ask of the store.
#pragma once

#include "rollout/engine.hpp"
#include "rollout/host.hpp"

#include <thread>

namespace chillbox::test {

// True as soon as it holds; false after a minute, which a busy machine may need.
inline bool eventually(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes{1};
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::sleep_for(os::Millis{1});
  }
  return true;
}

// A door that a thread stands at until the test opens it.
class Door {
public:
  void stand() {
    ++m_standing;
    while (!m_open)
      std::this_thread::sleep_for(os::Millis{1});
  }
  void open() { m_open = true; }
  bool wait_for_somebody() const {
    return eventually([this] { return m_standing > 0; });
  }
  bool is_open() const { return m_open; }

private:
  std::atomic<int> m_standing{0};
  std::atomic<bool> m_open{false};
};

struct EngineHost : Host {
  EngineHost() { start_engine(); }
  ~EngineHost() { engine.reset(); }
  void start_engine() { engine = std::make_unique<rollout::Engine>(context()); }
  // kill -9 or SIGTERM and a new start: services go on, the vault does not.
  void restart_daemon() {
    engine.reset();
    restart();
    start_engine();
    engine->recover();
  }
  store::Job submit(const store::Job& job) {
    engine->submit(job.id);
    return job;
  }
  bool becomes(const store::Job& job, store::JobState state) {
    const bool yes = eventually([&] { return look(job.id).state == state; });
    if (!yes)
      WARN(cat(job.id, " is ", store::name(look(job.id).state), " in ", look(job.id).step, ": ",
          look(job.id).message));
    return yes;
  }
  bool idle() {
    return eventually([this] { return engine->running() == 0; });
  }
  std::unique_ptr<rollout::Engine> engine;
};

} // namespace chillbox::test
