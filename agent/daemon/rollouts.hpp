// The rollouts that this host walks with the others of its fleet, by orders that it finds in the
// fleet's engine. One thread reads what the engine says is new; each site that has something to do
// has a thread of its own (rollout_walk.hpp) for as long as that lasts. Without an engine there is
// none.
//
// Nothing of the engine is authority: an order is taken only when the site's deployer signed it and
// it is newer than all that this host has seen, and a report only when that host signed it.
#pragma once

#include "base/thread_group.hpp"
#include "control/engine.hpp"
#include "control/rollout.hpp"
#include "rollout/engine.hpp"
#include "rollout/host_context.hpp"
#include "rollout/order.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace chillbox::daemon {

inline constexpr os::Millis k_engine_wait{5'000};
// What is said of an order goes from the engine: long after all hosts have heard it.
inline constexpr std::chrono::seconds k_said_kept{90 * 24 * 3600};
inline constexpr size_t k_most_records = 60; // refusals an hour, into log and audit trail

std::string order_key(const std::string& site);
std::string stop_key(const control::RolloutOrder& order);
std::string slots_key(const std::string& site); // the prefix
std::string slot_key(const std::string& site, uint64_t number);
std::string reports_key(const control::RolloutOrder& order); // the prefix

class Rollouts {
public:
  Rollouts(rollout::HostContext& host, rollout::Engine& jobs, std::function<void()> ended)
      : m_host(host), m_jobs(jobs), m_threads(std::move(ended)) {}
  ~Rollouts() { stop(); }
  Rollouts(const Rollouts&) = delete;
  Rollouts& operator=(const Rollouts&) = delete;

  // Once, after the jobs have begun. Null: this host has no engine.
  void begin(control::Engine* engine);
  void look();  // jobs, the lock or the configuration may have changed
  void trust(); // the roster or the trusted keys may have changed
  void ask_to_stop();
  bool idle() { return m_threads.size() == 0; }
  void stop();
  bool has_engine() const { return m_engine != nullptr; }

  // --- for verbs; unreachable, denied, conflict as Engine::change() has them
  // Into the engine. denied as rollout::check_order(); conflict: a newer one is there.
  Result<control::OrderTaken> take(const SiteName& site, const std::string& text);
  // Of the sites that are wanted; an order whose file is damaged is a row with its problem.
  using Wanted = std::function<bool(const SiteName&)>;
  Result<std::vector<control::OrderedRollout>> all(const Wanted& wanted);
  // not_found: no order of that site; conflict: it has ended.
  Result<void> stop_site(const SiteName& site, const control::RolloutStop& stop);
  Result<void> resume(const SiteName& site);

  // --- for walks
  struct Change {
    uint64_t engine = 0, any = 0; // count them
  };
  Change changes();
  // Until something else than that has changed, or this time (wall clock, ms) has come; 0: none.
  void wait(const Change& since, int64_t until_ms);
  bool stopping() const { return m_stopping; }
  // An order that came while that site's walk had another one.
  std::optional<rollout::TakenOrder> newer(const SiteName& site);
  bool has_newer(const SiteName& site);
  void forget_newer(const rollout::TakenOrder& taken); // it is on disk
  // Of a site: before it asks for a slot, and when it has none or holds none any more. The last one
  // that holds none gives back the lease, and with it a slot that it may have without knowing.
  void took_slot(const SiteName& site);
  void gave_slot(const SiteName& site);
  control::Engine& engine() { return *m_engine; }
  rollout::Engine& jobs() { return m_jobs; }
  rollout::HostContext& host() { return m_host; }
  struct Heard {
    rollout::Reports reports;
    std::optional<control::RolloutStop> stop;
  };
  // What a majority of the engine has of the order's hosts; reports that do not verify are left out
  // and recorded.
  Result<Heard> hear(const rollout::TakenOrder& taken);
  // Once for each thing that is wrong, however often it is read, and not more than
  // k_most_records an hour: who owns the engine fills no audit trail.
  void record(const std::string& site, const std::string& what, const Error& error);

private:
  void follow(const std::string& prefix);
  void read_orders();
  void read_all();
  Result<void> accept(const SiteName& site, const std::string& text);
  void walk(const SiteName& site);
  Result<rollout::OrderFile> known(const SiteName& site);
  Result<control::OrderedRollout> row(const rollout::OrderFile& file);

  // What the engine's thread touches, which may outlive all else.
  struct Wake {
    std::mutex mutex;
    std::condition_variable woken;
    Change change;
    bool read = false; // orders may be new
  };

  rollout::HostContext& m_host;
  rollout::Engine& m_jobs;
  control::Engine* m_engine = nullptr;
  std::shared_ptr<Wake> m_wake = std::make_shared<Wake>(); // its mutex is that of the rest, too
  std::atomic<bool> m_stopping{false};
  std::map<std::string, rollout::TakenOrder> m_newer; // by site
  std::mutex m_slots_mutex;      // also while the lease goes: who takes one then gets a new lease
  std::set<std::string> m_slots; // sites that hold one, or ask for one
  std::map<std::string, bool> m_walking;
  std::map<std::string, std::string> m_recorded; // by site and what it is of: the last refusal
  int64_t m_records_hour = 0;
  size_t m_records = 0;  // in that hour
  ThreadGroup m_threads; // last: they use all of the others
};

} // namespace chillbox::daemon
