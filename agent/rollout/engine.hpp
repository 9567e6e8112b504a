// Runs the jobs: those of one site one after the other, those of different sites in parallel, each
// on a thread that exists only while it has work. A rollback cancels a deploy or another rollback
// of its site that has not switched: two of them in a row would go forward again. Whatever is
// queued for a site ends its watch.
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
  // `enough`; the sites that came up whole.
  std::vector<std::string> unlocked(
      os::Millis limit, const std::function<bool()>& enough = [] { return false; });
  // The time (monotonic) when the oldest wait for an upload is over; nullopt: nothing waits, no
  // timer is needed.
  std::optional<os::Millis> next_deadline();
  void expire(); // jobs whose wait is over continue, and fail; what found no thread is tried again
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
  enum class Lane { work, bring_up, urgent };
  struct Running {
    JobControl control;
    store::JobKind kind{};
    std::string job; // "" : it is none
    Lane lane{};
    bool has_place = true;
  };
  void enqueue(const SiteName& site, Task task); // with m_mutex held
  void schedule();                               // with m_mutex held
  bool begin(const SiteName&
          site); // the first task in its queue; with m_mutex held. False: there is no thread for it
  void let_go(const SiteName& site);
  bool has_room(Lane lane) const;
  static Lane lane_of(const Task& task);
  void work(const SiteName& site, const Task& task, const std::shared_ptr<Running>& running);
  void run(const SiteName& site, const Task& task, Running& running);
  void bring_up_site(const SiteName& site, const Task& task, JobControl& control);
  void ended(const SiteName& site, const Task& task, bool is_job); // with m_mutex held
  void again(const SiteName& site, Task task); // after an exception; with m_mutex held
  void try_later();                            // with m_mutex held
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
  std::map<std::string, os::Millis> m_since; // when the jobs that wait began to
  std::multiset<std::string> m_coming;       // digests of uploads that run
  std::map<std::string, os::Millis> m_came;  // when the last upload of a digest ended
  std::optional<os::Millis>
      m_deadline; // the earliest that is known; may be of a job whose upload came meanwhile
  std::optional<os::Millis> m_retry; // when schedule() is to be tried again
  bool m_stopping = false;
  ThreadGroup m_threads; // last: they use all of the others
};

} // namespace chillbox::rollout
