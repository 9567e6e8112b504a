// The state of the host in SQLite (WAL, synchronous=FULL): jobs, releases, what is live, secrets,
// freshness, replay memory, audit. One connection, one writer, guarded by a mutex in here: any
// thread may call. What a call returned as written is on disk. Nothing is ever half: each call is
// one transaction. The file is opened after every fork, never before one that keeps it (O_CLOEXEC).
//
// Refuses at open: a schema newer than this program (conflict), a file that is not ours or not
// writable (denied), a file that fails quick_check (corrupt; the caller moves it aside and
// rebuilds).
#pragma once

#include "base/error.hpp"
#include "store/types.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace chillbox::store {

// One webhook, checked and about to be accepted.
struct Intake {
  std::string sender;
  std::string id;        // webhook-id or X-GitHub-Delivery
  std::string body_hash; // sha256 of the signed body, hex
  bool by_body = false;  // github: also a new id with a body that was seen is the same delivery
  Job job;               // state queued
};
enum class IntakeVerdict { accepted, repeated, conflict, full, flooded };
struct IntakeAnswer {
  IntakeVerdict verdict{};
  std::string job;                     // accepted or repeated: the job
  std::vector<std::string> superseded; // accepted: deploys of the site that were queued or waiting
                                       // and have ended by this one
};

class Store {
public:
  // Creates the file and its schema when absent; migrates forward with a copy next to it
  // ("state.db.vN").
  static Result<Store> open(const std::string& path, int64_t now_ms);
  // Whether open() would refuse the file: conflict (a newer schema), denied. Changes nothing.
  static Result<void> check(const std::string& path);
  // A large file is opened without a look at the whole of it, for which check_later has time:
  // corrupt says that the next open() will refuse it (store/schema.hpp).
  static bool is_checked_later(const std::string& path);
  static Result<void> check_later(const std::string& path, const std::atomic<bool>& stop);
  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  ~Store();

  // --- intake: all of them in ONE transaction (group commit), answers in the same order. Of each
  // sender the newest 200,000 deliveries are remembered, and every one that could still come again,
  // because its timestamp is within the tolerance; over a million of those no new one of his is
  // taken (flooded). queue_max: jobs of one sender that have not ended. What one sender sends
  // pushes out nothing of another's.
  Result<std::vector<IntakeAnswer>> accept(
      const std::vector<Intake>& batch, uint32_t queue_max, int64_t now_ms);
  Result<std::string> host_secret(); // 64 hex digits, made once: capabilities are derived from it

  // --- jobs. A new deploy ends its sender's queued and waiting deploys of its site as
  // `superseded`, a new rollback everybody's and rollbacks as `cancelled`, in the same transaction,
  // code busy, with an "end" event; running ones are the rollout's. Of each actor the newest 10,000
  // ended jobs are kept, and 1,000 pings.
  Result<void> add_job(const Job& job, std::vector<std::string>* superseded = nullptr);
  // For a deploy whose signature was found valid: ends the site's older deploys, of all senders,
  // and returns their ids.
  Result<std::vector<std::string>> supersede_older(const Job& job, int64_t now_ms);
  Result<std::optional<Job>> job(const std::string& id);
  // Newest first; "" all sites.
  Result<std::vector<Job>> jobs(
      const std::string& site, size_t limit, const control::Period& period = {});
  Result<std::vector<Job>> unfinished(); // oldest first: queued, running, waiting
  Result<void> update_job(
      const Job& job); // state, step, release, previous, times, code, message, version
  // update and finish: conflict for a job that has ended already (a newer one may have superseded
  // it), not_found for no job. The same together with events, in one transaction; finished_ms set
  // and a last event of kind "end": the job is over.
  Result<void> record(const Job& job, const std::vector<JobEvent>& events);
  // The job's end in one transaction with its last event. Each end is in the audit trail with it,
  // except that of an announced job which a newer announcement supersedes: a webhook key could push
  // all else out of the trail.
  Result<void> finish_job(const Job& job, const std::string& event_text);
  // An end that could not be written is kept in memory, and what is asked of the store knows it;
  // after a restart the job would run again. write_ends: they are written now.
  bool has_unwritten_ends();
  Result<void> write_ends();
  Result<std::vector<JobEvent>> events(const std::string& job, uint64_t after, size_t limit = 1000);

  Result<void> forget_old_output(); // what programs said (kind "log") is kept of the newest 500
                                    // jobs of each actor
  // The last one who announced this artifact; "": no job names it any more.
  Result<std::string> announced_by(const std::string& sha256);

  // --- releases and what is live
  Result<uint64_t> next_release_number(const SiteName& site) {
    return next_number(site, "release");
  }
  Result<uint64_t> next_number(
      const SiteName& site, const std::string& what); // 1, 2, ...; serial() reads the last one
  Result<void> put_release(const Release& release);   // insert or replace; kept_by never goes
  Result<void> keep_release(const SiteName& site, const std::string& id,
      const std::string& by); // kept_by alone: a job may be about to write the rest
  Result<std::optional<Release>> release(const SiteName& site, const std::string& id);
  Result<std::vector<Release>> releases(const SiteName& site);      // newest first
  Result<std::vector<Release>> kept_releases(const SiteName& site); // of these, is_kept()
  // The same, without NGINX texts: of these, what was not removed.
  Result<std::vector<Release>> present_releases(const SiteName& site);
  // The same, without NGINX texts: the newest, and the live one however old it is.
  Result<std::vector<Release>> newest_releases(
      const SiteName& site, const std::string& live, size_t limit);
  Result<std::set<std::string>> needed_artifacts(); // sha256 of every site's releases that are
                                                    // good, unproven or staged
  Result<int64_t> newest_release_ms(const SiteName& site); // when one was made or went live last
  // Of those that failed or were removed the newest 50 rows stay, without their NGINX text.
  Result<void> forget_old_releases(const SiteName& site);
  Result<void> put_site(const SiteRow& row); // whole: of a site that nobody else changes
  Result<void> set_stopped(const SiteName& site, bool stopped);
  Result<void> set_ports(const SiteName& site, const std::string& ports); // makes its row
  Result<void> set_not_live(const SiteName& site);
  // Grows with each change of a release of this site: nothing is asked of the disk.
  uint64_t releases_written(const SiteName& site);
  Result<std::optional<SiteRow>> site(const SiteName& site);
  Result<std::vector<SiteRow>> sites();
  uint64_t sites_changed()
      const; // grows with each change of a site's row: nothing is asked of the disk
  Result<void> delete_site(const SiteName& site,
      int64_t now_ms = 0); // its rows: releases, host names, secret sets, hold, runs of its
                           // crontab. Jobs, audit, serials and what was withdrawn stay
  // The switch, in one transaction: `release` is live, good, and the site is not stopped. With
  // `old_failed` the old one is failed. previous_good is the old one, else the newest other release
  // that is good.
  Result<void> commit_live(
      const SiteName& site, const Release& release, bool old_failed, int64_t now_ms);
  // Host names by site: conflict "host 'x' belongs to site 'y'".
  Result<void> claim_hosts(const SiteName& site, const std::vector<std::string>& hosts);
  Result<std::optional<std::string>> host_owner(
      const std::string& host, const SiteName& but); // another site's claim

  // --- what was made for a site and for nobody else (rollout/assets.hpp). delete_site leaves it.
  Result<std::vector<Asset>> assets(const SiteName& site);
  Result<std::optional<Asset>> asset(
      const SiteName& site, const std::string& kind, const std::string& name);
  Result<void> put_assets(const std::vector<Asset>& assets); // in one transaction
  Result<void> delete_asset(const Asset& asset);
  Result<std::vector<SiteName>> sites_without_assets(); // that have, or had, a release or a secret
                                                        // set here

  // --- freshness: the greatest serial that was ever installed. what: "site" or "secrets"
  Result<uint64_t> serial(const SiteName& site, const std::string& what);
  Result<std::map<std::string, uint64_t>> serials(const std::string& what); // of all sites
  Result<void> raise_serial(const SiteName& site, const std::string& what, uint64_t serial);

  // --- secrets
  Result<std::optional<SecretSet>> secret_set(const SiteName& site);
  Result<void> put_secret_set(
      const SecretSet& set); // and its serial; it is a used set from then on
  // Those that were in use once and may be again, with a release that came with them: their
  // received_ms is 0.
  Result<std::optional<SecretSet>> used_set(const SiteName& site, const std::string& sha256);
  Result<std::vector<SecretSet>> used_sets(const SiteName& site);
  Result<std::vector<SecretSet>> sets_in_use(); // used_set() of each site's secret_set(); "" and 0:
                                                // none
  Result<void> put_used_set(const SecretSet& set); // kept_by never goes
  Result<void> keep_used_set(
      const SiteName& site, const std::string& sha256, const std::string& by);

  // --- what is never good again. A site's previous good release is another one from then on
  Result<void> withdraw(const Withdrawn& withdrawn);
  Result<std::vector<Withdrawn>> withdrawn(const SiteName& site); // oldest first
  Result<std::vector<Withdrawn>> withdrawn();                     // of all sites

  // --- holds
  Result<std::optional<Hold>> hold(const SiteName& site);
  Result<std::vector<Hold>> holds();
  Result<void> put_hold(const Hold& hold);
  Result<bool> delete_hold(const SiteName& site); // false: there was none

  // --- runs of crontab entries and of what operators run: the newest 100 of each line are kept,
  // and of each site 2,000
  Result<uint64_t> begin_cron_run(const CronRun& run); // its id
  Result<void> end_cron_run(const CronRun& run);       // state, ended_ms, code, text
  Result<void> forget_cron_run(uint64_t id);           // it was another host's
  // One that did not run. The same entry for the same reason as the last time is counted, not
  // repeated.
  Result<void> skip_cron_run(const CronRun& run);
  Result<std::optional<CronRun>> cron_run(uint64_t id);
  // Newest first.
  Result<std::vector<CronRun>> runs(const SiteName& site, control::RunKind kind, size_t limit,
      const control::Period& period = {});
  Result<std::optional<CronRun>> last_cron_run(const SiteName& site, const std::string& line);
  Result<std::vector<CronRun>> open_cron_runs(); // state running, oldest first

  // --- certificates. delete_site leaves them: the room tls removes the file first, then the row.
  Result<std::vector<Certificate>> certificates(); // by id
  Result<std::optional<Certificate>> certificate(const std::string& id);
  Result<void> put_certificate(const Certificate& certificate);
  Result<void> delete_certificate(const std::string& id);
  // Before a CA is asked, so that a crash loop asks for no more than it may; kept for eight days.
  Result<uint64_t> begin_certificate_order(const CertificateOrder& order); // its seq
  Result<void> end_certificate_order(uint64_t seq, const std::string& outcome);
  Result<std::vector<CertificateOrder>> certificate_orders(int64_t since_ms); // oldest first

  // --- unlock attempts, of each user (faults 75)
  struct Attempts {
    uint32_t failures = 0;
    int64_t last_ms = 0;
  };
  Result<Attempts> attempts(uint64_t uid);
  Result<void> set_attempts(uint64_t uid, const Attempts& attempts);
  Result<uint64_t> unlock_failures(); // of all users

  // --- meta and audit (entries chained by hash)
  Result<std::optional<std::string>> meta(const std::string& key);
  Result<void> set_meta(const std::string& key, const std::string& value); // "": it goes
  Result<void> audit(const AuditEntry& entry);
  // Newest first.
  Result<std::vector<AuditEntry>> audit_entries(size_t limit, const control::Period& period = {});
  // corrupt: names the first entry that does not fit. kept: AuditHead::text() of an earlier day,
  // which must still be in the trail; not_found: it was forgotten by age.
  // AuditLook::newer begins where the last look ended, unless another program has written to the
  // file since then.
  enum class AuditLook { whole, newer };
  Result<AuditHead> verify_audit(std::string_view kept = "", AuditLook look = AuditLook::whole);
  // The newest 100,000 entries are kept; the chain then begins with the oldest of them.

  // For this room's other headers (store/notices.hpp).
  struct State;
  State& state() { return *m_state; }

private:
  explicit Store(std::unique_ptr<State> state);
  std::unique_ptr<State> m_state;
};

} // namespace chillbox::store
