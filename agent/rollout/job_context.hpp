// One job of one site: a list of steps from a table, driven by one loop (job_run.cpp). Each step is
// recorded before it begins; each can be repeated; each has an undo that also copes with a step
// that was never begun. A failing step is undone together with all before it, in reverse order.
// After a crash the same undo brings the site back to what the store says is live, and the job
// starts over, unless the store already says that its release is live: then it goes on behind the
// switch.
//
//   deploy    obtain verify unseal stage preflight install build start check configure handover
//   switch reload watch retire rollback  target restage start check configure handover switch
//   reload retire   (to what was good before: nothing to watch for) restart   same start check
//   configure handover switch reload watch retire secrets   obtain verify unseal exchange same
//   start check configure handover switch reload watch retire start     same start check switch
//   stop    stop            remove    remove
#pragma once

#include "artifact/verify.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/secret.hpp"
#include "config/site.hpp"
#include "rollout/host_context.hpp"
#include "rollout/service_kind.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace chillbox::rollout {

// What others may ask of a running job.
class JobControl {
public:
  JobControl() = default;
  // Of a part of a job that has a life of its own: it stops when the job is to stop.
  explicit JobControl(const JobControl* whole) : m_whole(whole) {}
  void cancel() { set(m_cancel); }       // give up unless it has switched
  void cut_watch() { set(m_cut_watch); } // stop watching, the verdict so far holds
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
  std::optional<os::Millis>
      waited; // since it was accepted, by a clock that nobody sets; without it the wall clock says
  std::atomic<bool> watching{false};
  std::atomic<bool> switched{false};

private:
  void set(std::atomic<bool>& flag);
  const JobControl* m_whole = nullptr;
  std::atomic<bool> m_cancel{false}, m_cut_watch{false}, m_stop{false};
  std::mutex m_mutex;
  std::condition_variable m_changed;
};

struct PlannedService {
  config::Service service;
  ServiceKind kind;
  uint16_t port = 0; // in the new slot, when it listens on TCP
};

// How a step ended well.
enum class Next { proceed, finished, wait_upload, wait_unlock };

class Journal;

struct JobContext {
  JobContext(HostContext& w, store::Job j, JobControl& s)
      : host(w), job(std::move(j)), control(s) {}

  HostContext& host;
  store::Job job;
  JobControl& control;
  Journal* journal = nullptr; // where info() and output() go; none: a plan, which tells nobody

  store::SiteRow row{job.site};
  std::optional<store::Release> old;    // live when the job began
  store::Release release{{}, job.site}; // the one it makes or goes to
  config::Site site{job.site};
  std::vector<PlannedService> services;
  os::User user;
  Fd artifact;
  SecretBytes file_key;
  std::string staged_digest; // of what was unpacked and walked: what is installed must have it
  std::optional<artifact::Verified> verified;
  std::string old_secrets; // set that was current before this job exchanged it
  std::string old_nginx;
  std::vector<std::pair<std::string, uint64_t>>
      log_start;                    // service log file, its size when the slot started
  std::set<std::string> stop_first; // services whose old copy stops before the new one starts
  std::string warning;              // what speaks against a release that stays
  std::optional<os::Millis> downtime_begun; // when the first of them stopped

  std::string stage_dir() const { return host.paths.stage() + "/" + job.id; }
  std::string release_dir() const { return host.paths.releases(job.site) + "/" + release.id; }
  bool allows(std::string_view option) const;
  void info(std::string_view text);   // an event of kind info in the current step
  void output(std::string_view text); // ... of kind log
};

struct Step {
  std::string_view name;
  Result<Next> (*run)(JobContext&);
  void (*undo)(JobContext&); // null: nothing to undo
};
std::span<const Step> steps_of(store::JobKind kind);
const Step* find_step(store::JobKind kind, std::string_view name);

// Runs the job from where it is to its end, or until it waits. The job's row says which. A job that
// was under way when the daemon ended is first recovered: what it left behind is undone and it
// begins again, or it goes on behind the switch.
void run_job(HostContext& host, const std::string& job_id, JobControl& control);

} // namespace chillbox::rollout
