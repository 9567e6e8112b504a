// Runs the jobs: those of one site one after the other, those of different sites in parallel, each
// on a thread that exists only while it has work. A rollback cancels a deploy or another rollback
// of its site that has not switched: two of them in a row would go forward again.
//
// Only a job that watches its release has the next one of its site next to it. That one waits for
// nobody until it starts its copies, takes the slots then, and ends the watch once its own check is
// passed: what is refused, never comes or is not healthy ends no watch. If the watch goes bad
// first, it gives the slots back, and begins again when the release has been rolled back. If it
// fails after it ended the watch, a job of the engine's own watches that release again. The same
// holds while old copies end in their time: a job that needs their slots waits, and a rollback, a
// stop or a removal does not wait for longer than k_stop_timeout.
//
// No site waits for what another one says. Work that takes the host's memory and processors has
// `jobs_max` places: a deploy, a secrets update, a restart, a removal, up to the start of the new
// copies; bringing sites up has as many of its own. A job that waits for its own service or
// visitors (check, watch) has given its place back. A rollback, a stop and a start by an operator
// need none.
#pragma once

#include "base/thread_group.hpp"
#include "rollout/bring_up.hpp"
#include "rollout/host_context.hpp"
#include "rollout/job_control.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace chillbox::rollout {

class Engine {
public:
  explicit Engine(HostContext& host) : m_host(host) {}
  ~Engine() { stop(); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // At start: sites are brought up, then their jobs continue; those that were under way are
  // recovered first. Returns at once.
  void recover();
  void submit(const std::string& job);      // it is in the store, queued
  void cancel(const std::string& job);      // when it runs and has not switched
  void uploaded(const std::string& sha256); // waiting_upload jobs of this digest continue
  // While bytes of this digest come, nothing waits for it; afterwards the wait begins again.
  void upload_begun(const std::string& sha256);
  void upload_ended(const std::string& sha256);
  // Every site is brought up, waiting_unlock jobs continue. Waits at most `limit`, and until
  // `enough`; the sites that came up whole and had not run before.
  struct CameUp {
    std::vector<std::string> sites;
    std::vector<std::string> failed;     // "SITE: why"
    std::vector<std::string> after_boot; // "SITE: why it will not come up then"; it is up now
  };
  CameUp unlocked(os::Millis limit, const std::function<bool()>& enough = [] { return false; });
  // The time (monotonic) when the oldest wait for an upload is over; nullopt: nothing waits, no
  // timer is needed.
  std::optional<os::Millis> next_deadline();
  void expire(); // jobs whose wait is over continue, and fail; what found no thread is tried again,
                 // and so is the end of a job that the store could not take
  // In the site's turn, so that no job of it runs meanwhile, on a thread of its own.
  void alone(const SiteName& site, std::function<void()> work);
  size_t running();
  bool ask_to_stop(); // as stop(), but returns at once; false: some have not ended. The host's
                      // `changed` is called when one does
  void stop();        // running jobs stop where they are (the journal knows), threads end

private:
  struct Task {
    std::string job;                  // "" : bring the site up, or
    std::function<void()> other = {}; // something else
    store::JobKind kind = store::JobKind::start;
    std::function<void(const Result<BroughtUp>&)> done = {};
    unsigned failed = 0; // how often it ended by an exception
  };
  // After the store failed, or a thread could not be had; nothing says when it works.
  static constexpr os::Millis k_retry_pause{1'000};
  enum class Lane { work, bring_up, urgent };
  struct Running : Turn {
    Running(Engine& e, SiteName s) : engine(e), site(std::move(s)) { control.set_turn(*this); }
    void let_go() override { engine.let_go(*this); }
    void watch_begins() override { engine.watch_begins(*this); }
    bool watch_ends(bool good) override { return engine.watch_ends(*this, good); }
    void take_slots() override { engine.take_slots(*this); }
    void give_slots() override { engine.give_slots(*this); }
    void retires() override { engine.retires(*this); }
    void end_watch() override { engine.end_watch(*this); }
    Engine& engine;
    SiteName site;
    JobControl control;
    store::JobKind kind{};
    std::string job; // "" : it is none
    Lane lane{};
    bool has_place = true;
    bool has_slots = false;
    bool ends = false;  // of one that watched: no other begins next to it
    bool is_up = false; // of none: the whole site runs
  };
  void enqueue(const SiteName& site, Task task); // with m_mutex held
  void schedule();                               // with m_mutex held
  std::deque<Task>::iterator next_of(
      const SiteName& site, std::deque<Task>& queue); // with m_mutex held
  bool begin(const SiteName& site, const Task& task); // of its queue; with m_mutex held. False:
                                                      // there is no thread for it
  // engine_turn.cpp
  void let_go(Running& one);
  void watch_begins(Running& one);
  bool watch_ends(Running& one, bool good);
  void take_slots(Running& one);
  void give_slots(Running& one);
  void retires(Running& one);
  void end_watch(Running& one);
  void watch_again(const SiteName& site); // if nothing else of it waits its turn; with m_mutex held
  std::shared_ptr<Running> other_of(const Running& one) const; // at its site; with m_mutex held
  bool is_to_prune(const Running& one, bool ended); // or the other one of its site does it
  void left(const Running& one);                    // with m_mutex held
  void wait_until(std::unique_lock<std::mutex>& lock, const Running& one,
      const std::function<bool()>& holds); // or that one is to end
  bool has_room(Lane lane) const;
  static Lane lane_of(const Task& task);
  void work(const SiteName& site, const Task& task, const std::shared_ptr<Running>& running);
  void run(const SiteName& site, const Task& task, Running& running);
  void bring_up_site(Running& running, const Task& task);
  void ended(const Running& one, const Task& task); // with m_mutex held
  void again(const SiteName& site, Task task);      // after an exception; with m_mutex held
  void try_later();                                 // with m_mutex held
  void note_what_is_live(store::Job& job);
  void requeue(const std::function<bool(const store::Job&)>& which);
  // With m_mutex held. How long a job has waited: by the wall clock when it is first seen, which
  // may be by a new daemon, from then on by the monotonic one, so that a clock that is set ends no
  // wait and prolongs none (faults 98).
  os::Millis waited(const store::Job& job);
  bool wait_is_over(const store::Job& job);
  void note_deadline(const store::Job& job); // with m_mutex held

  HostContext& m_host;
  std::mutex m_mutex;
  std::condition_variable m_idle;
  std::map<SiteName, std::deque<Task>> m_queues;
  std::deque<SiteName> m_turns; // sites in the order in which their first task came
  std::map<SiteName, std::shared_ptr<Running>> m_running;
  std::map<SiteName, std::shared_ptr<Running>> m_watching; // the next one may run next to it
  std::set<SiteName> m_unpruned;             // a job ended while another one of the site ran
  std::map<std::string, os::Millis> m_since; // when the jobs that wait began to
  std::multiset<std::string> m_coming;       // digests of uploads that run
  std::map<std::string, os::Millis> m_came;  // when the last upload of a digest ended
  std::optional<os::Millis>
      m_deadline; // the earliest that is known; may be of a job whose upload came meanwhile
  std::optional<os::Millis> m_retry; // when schedule(), or an end, is to be tried again
  bool m_stopping = false;
  ThreadGroup m_threads; // last: they use all of the others
};

} // namespace chillbox::rollout
