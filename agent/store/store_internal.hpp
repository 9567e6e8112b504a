// Inside the store: what a Store holds, and rows as they are read. Not for other rooms.
#pragma once

#include "crypto/webhook.hpp"
#include "store/notices.hpp"
#include "store/sql.hpp"
#include "store/store.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::store {

struct AuditWalk {
  uint64_t entries = 0, first = 0, last = 0; // numbers; 0: nothing yet
  std::string hash;                          // of the last
};

// Of a job that is over (Store::write_ends).
struct UnwrittenEnd {
  Job job;
  std::vector<JobEvent> events;
};

struct Store::State {
  explicit State(Db&& opened) : db(std::move(opened)) {}
  std::mutex mutex; // around every use of db
  Db db;
  std::atomic<uint64_t> sites_changed{1};
  std::map<std::string, uint64_t> releases_written; // by site, since the start
  std::atomic<uint64_t> notices_changed{1};
  std::map<std::string, UnwrittenEnd> unwritten; // by job
  // How far the audit trail was looked at, and SQLite's count of what other connections wrote then.
  AuditWalk verified;
  int64_t data_version = 0;
};

// What is kept of the past; older rows go as new ones come.
inline constexpr int64_t k_jobs_kept = 10'000; // of each source: finished ones, with their events
inline constexpr int64_t k_pings_kept = 1'000; // of each sender
inline constexpr int64_t k_output_kept =
    500; // of each source: jobs of which what their programs said is kept too
inline constexpr int64_t k_deliveries_kept = 200'000; // of each sender
inline constexpr int64_t k_deliveries_most =
    1'000'000; // while they are younger than the window below
// A webhook can be replayed from one tolerance before its timestamp to one after it; a minute more
// for a clock that is set meanwhile.
inline constexpr int64_t k_replay_window_ms =
    2 * std::chrono::milliseconds(crypto::k_webhook_tolerance).count() + 60'000;
inline constexpr int64_t k_releases_kept = 50;   // of a site, that failed or were removed
inline constexpr int64_t k_cron_runs_kept = 100; // of one entry
inline constexpr int64_t k_cron_runs_of_site = 2'000;
inline constexpr int64_t k_audit_kept = 100'000;
// They go in lots of this size: one lot touches fewer pages than so many single rows.
inline constexpr int64_t k_lot = 1'000;

// While one is alive, in a thread that has an Unsynced, transactions are not synced: they are in
// the log, in their order, and on disk with the next one that is. Without one it does nothing.
class Relaxed {
public:
  explicit Relaxed(Db& db);
  Relaxed(const Relaxed&) = delete;
  Relaxed& operator=(const Relaxed&) = delete;
  ~Relaxed();

private:
  Db* m_db;
};

Result<SiteName> site_in(const Db& db, const Stmt& stmt, int column); // corrupt when it is none

// Within a transaction of the caller. Of a site's numbers that only grow: the next one; at least so
// many from now on.
Result<uint64_t> count_up(Db& db, const SiteName& site, std::string_view what);
Result<void> raise_number(Db& db, const SiteName& site, std::string_view what, uint64_t serial);

// The number of a source's newest job; 0: it has none. The next one gets the next number.
Result<int64_t> newest_job(Db& db, const std::string& source);
Result<void> insert_job(Db& db, const Job& job, const std::string& source, int64_t number);
// What a deploy or rollback puts out of the way, of this source or ("") of all that are older;
// their ids are added to `ids`.
Result<void> supersede(Db& db, const Job& newer, std::string_view source, int64_t now_ms,
    std::vector<std::string>& ids);
// Before it is inserted: a deploy only its own sender's, because nobody has looked at it yet.
std::string supersedes_at_once(const Job& newer);
std::string source_of(const Job& job);
Result<void> forget_old_jobs(Db& db, const std::string& source);
Result<void> write_audit(Db& db, const AuditEntry& entry);
Result<Notice> read_notice(Stmt& row); // its first nine columns, as NOTICE_COLUMNS
Result<void> raise(Db& db, const Happening& happening);
Result<void> end_notice(Db& db, std::string_view event, const std::optional<std::string>& site,
    const std::optional<std::string>& subject, int64_t now_ms);
// What the end of a job or a run, or a change of a key, has to tell.
Result<void> tell_of_job(Db& db, const Job& job);
Result<void> tell_of_run(Db& db, const CronRun& run);
Result<void> tell_of_audit(Db& db, const AuditEntry& entry);

} // namespace chillbox::store
