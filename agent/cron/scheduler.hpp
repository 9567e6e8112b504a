// Runs the crontabs of all sites, and what operators run of them. The entries are those of a site's
// live release, so a switch or a rollback changes them automatically; a stopped site has none. One
// thread sleeps until an entry is due, the clock is set, a run ends or a site changes. Runs are
// tasks (cron/task.hpp): they outlive the daemon, and the next daemon adopts them. Each run has a
// row in the store before it begins.
//
// Of a fleet's hosts each decides when an entry is due, by the roster that it has then, whether it
// is the one to run it; a host that is not leaves nothing in its history.
//
// An entry is skipped while the same command of the same site still runs, and while the site waits
// for a secret; the history records why. Entries that came due while the daemon was down are
// skipped too, except after an orderly restart or reboot of less than three hours: then each of
// them runs once.
#pragma once

#include "base/thread_group.hpp"
#include "cron/schedule.hpp"
#include "cron/task.hpp"
#include "store/store.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace chillbox::cron {

struct CronEntry {
  uint64_t number = 0; // in the site file, from 1
  std::string line, command, run_on;
  Appointment next;
};

// What a command of a site's live release is run with: its environment, user and limits. An error
// says why it may not run now.
using PrepareCommand =
    std::function<Result<openrc::SlotSpec>(const SiteName& site, const SiteCommand& command)>;

// Something of the host's own that has a schedule, too.
struct Errand {
  config::Schedule when;
  std::function<void()> run; // returns at once
  // Once more, at a moment of its own (seconds) that look() makes known; nullopt: at none.
  std::function<std::optional<int64_t>()> again_at = {};
  std::function<void()> again = {};
};

// Of one due time of an entry that runs on one host of a fleet.
struct Claim {
  bool won = false;
  std::string run;    // its name, the same on all hosts
  uint64_t fence = 0; // larger than that of each claim of it before
};

class Scheduler {
public:
  struct Host {
    store::Store& store;
    os::Disk& disk;
    os::Clock& clock;
    os::Paths paths;
    PrepareCommand prepare;
    std::function<void()> changed; // a run began, ended or was skipped; any thread
    std::vector<Errand> errands = {};
    // "": what runs on these hosts of a fleet runs here; else why it does not.
    std::function<std::string(const std::string& run_on)> elsewhere = {};
    // Blocks. What comes due here and on other hosts at this moment (seconds) is for one of them.
    std::function<Result<Claim>(const SiteName& site, const std::string& line, int64_t due)> claim =
        {};
  };
  explicit Scheduler(Host host);
  ~Scheduler(); // the thread ends, the runs continue
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  void begin();   // adopts the runs of an earlier daemon, then starts the thread
  void look();    // an errand has another moment; returns at once
  void refresh(); // something was written to the store; cheap, returns at once
  // The entries of the live release, each with its next moment; none when the site is stopped.
  // not_found: no such site.
  Result<std::vector<CronEntry>> entries(const SiteName& site);
  // Why its schedule does not run it on this host; "": it does.
  std::string elsewhere(const CronEntry& entry) const;
  // Runs an entry now, whatever its schedule; the id of the run. busy: it already runs; sealed: the
  // site waits for a secret; not_found: no such entry; conflict: the site is stopped.
  Result<uint64_t> run_now(const SiteName& site, uint64_t number, const std::string& actor);

  // --- what an operator runs, any number at a time
  struct Order {
    SiteName site;
    SiteCommand command;
    RunOptions options;
    std::string term, actor; // term: the kind of his terminal
  };
  // Its row; he is attached at socket(id). As run_now(), and too_large: the words are too long.
  Result<store::CronRun> run(const Order& order);
  // TERM, and KILL after 10 s. not_found: no such run of a command; conflict: it has ended.
  Result<void> stop_run(uint64_t id);
  std::string socket(uint64_t id) const { return m_tasks.socket(id); }
  bool has_terminal(uint64_t id) const { return m_tasks.has_terminal(id); }

  // What the thread does between two sleeps; for tests, which have a clock of their own.
  void tick();

private:
  struct Site {
    std::string release;
    std::vector<CronEntry> entries;
  };
  struct Running {
    SiteName site;
    std::string command;
    Fd pidfd; // none: it has ended
  };
  void adopt_runs();
  void wake();
  Result<void> keep_notices(const SiteName& site, const std::vector<CronEntry>& entries);
  void read_sites();
  void read_errands();
  void run_due();
  void collect();
  void finish(uint64_t id);
  // What the store does not take is tried again each second, and a last time when the daemon stops;
  // the task is forgotten then. m_mutex is held.
  bool write(uint64_t id, std::function<Result<void>()> what);
  void write_again();
  bool waits_for_store();
  void loop();
  void wait_for_next(int timer, bool soon);
  void arm(int timer);
  void due(const SiteName& site, const CronEntry& entry, int64_t at);
  void skip(const SiteName& site, const CronEntry& entry, const Error& why);
  void claim(const SiteName& site, const CronEntry& entry, int64_t at);
  void start_claimed(store::CronRun& run, const CronEntry& entry, const Claim& claim);
  Result<uint64_t> start(const SiteName& site, const CronEntry& entry, const std::string& actor);
  // What start() would start, or why not. m_mutex is held.
  Result<openrc::SlotSpec> ready(const SiteName& site, const CronEntry& entry);
  Result<void> start_task(store::CronRun& run, openrc::SlotSpec& spec, const std::string& command,
      const std::optional<RunOptions>& options);
  // The row, and the task. m_mutex is held.
  Result<uint64_t> begin_run(store::CronRun run, openrc::SlotSpec spec, const std::string& command,
      const std::optional<RunOptions>& options);

  Host m_host;
  Tasks m_tasks;
  std::mutex m_mutex; // of the next three
  std::map<uint64_t, Running> m_running;
  std::map<uint64_t, std::function<Result<void>()>> m_unwritten; // by run
  std::set<uint64_t> m_unread;        // runs that have ended, and whose row could not be read
  std::map<SiteName, Site> m_sites;   // the thread's own
  std::vector<Appointment> m_errands; // the thread's own; of m_host.errands
  std::optional<int64_t>
      m_resumed; // where an orderly stop left off, seconds; for the first look at each site
  int64_t m_offset_ms = 0;         // wall clock less monotonic clock, at the last tick
  std::atomic<uint64_t> m_seen{0}; // of the store's sites
  std::atomic<bool> m_stop{false};
  Fd m_wake;
  bool m_begun = false;
  ThreadGroup m_claims; // each waits for the engine of the fleet
  ThreadGroup m_thread; // one; last: it uses all of the others
};

} // namespace chillbox::cron
