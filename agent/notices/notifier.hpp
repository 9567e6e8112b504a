// Tells targets of notices. The one thread sleeps until something is to be told, a message is due,
// or it is time to look; without a target, and without a heartbeat, it does not exist. Each
// delivery is a thread that waits for its hook, at most one for a target, so that no target waits
// for another.
//
// A message that was written is sent at least once: its body and its id are in the store before its
// first try, and only an answer takes it out. Who gets it twice gets the same id twice.
//
//   tries   at once, then after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, give or take
//   a
//           tenth, or after what Retry-After says if that is later; then it is exhausted.
#pragma once

#include "base/fd.hpp"
#include "base/thread_group.hpp"
#include "config/host.hpp"
#include "control/notices.hpp"
#include "notices/deliver.hpp"
#include "store/notices.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace chillbox::notices {

inline constexpr size_t k_tries = 10;
// Before the try of this number, from 0.
os::Millis pause_before_try(size_t number);

class Notifier {
public:
  struct Host {
    store::Store& store;
    os::Disk& disk;
    os::Runner& runner;
    os::Clock& clock;
    os::Paths paths;
    const config::HostConfig& config;
    bool as_root;
    std::function<void()> look;    // writes what is so now (rules.hpp)
    std::function<void()> changed; // for those who wait for a change; any thread
  };
  explicit Notifier(Host host);
  ~Notifier() { stop(); }
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  // Reads the targets' files; the first fault, of which the others do not suffer. Starts the thread
  // if there is something for it.
  Result<void> reload();
  void refresh(bool look = false); // something may have happened; cheap, returns at once
  void stop();                     // deliveries are ended, and tried again by the next daemon

  // --- what operators ask
  Result<std::vector<control::NotifyTarget>> targets();
  // Delivers a test, which is no notice and is not tried again. not_found: no such target.
  Result<control::NotifyTested> test(const std::string& name);
  // "": of all. Enables it, and sends again what was given up.
  Result<control::NotifyRetried> retry(const std::string& name);

  // What the thread does between two sleeps; for tests.
  void tick();

private:
  struct Known {
    std::vector<Target> targets;
    std::vector<std::pair<std::string, Error>> faults;
  };
  void loop();
  void wait();
  void wake();
  void look_if_due(bool happened);
  void follow_clock();
  void start_deliveries();
  void send(const store::OutboxMessage& message, const Target& target);
  void record(const store::OutboxMessage& message, const Target& target, const Outcome& outcome);
  void beat_if_due();
  std::optional<Target> target_of(const std::string& name);
  std::vector<store::Notices::Recipient> recipients();
  Courier courier() const;
  std::string host_name() const;
  int64_t now() const { return m_host.clock.wall_ms(); }

  Host m_host;
  store::Notices m_notices;
  std::mutex m_mutex; // of the next three
  Known m_known;
  std::set<std::string> m_busy; // targets that a delivery is under way to
  bool m_started = false;
  std::atomic<bool> m_stop{false}, m_look{true};
  std::atomic<uint64_t> m_seen{0}; // of the store's notices
  std::optional<os::Millis> m_looked, m_beat;
  bool m_look_soon = false; // something happened since then
  int64_t m_offset_ms = 0;  // wall clock less monotonic clock, at the last tick
  Fd m_wake;
  ThreadGroup m_deliveries{[this] { wake(); }};
  ThreadGroup m_thread; // one
};

} // namespace chillbox::notices
