#include "base/text.hpp"
#include "store/counters.hpp"
#include "store/store_internal.hpp"

namespace chillbox::store {
namespace {

#define RELEASE_COLUMNS                                                                            \
  "site, id, version, serial, sha256, secrets, state, slot, digest, nginx, last_log, signer, created_ms, live_ms, message, signer_key, kept_by"
#define RELEASE_COLUMNS_WITHOUT_TEXT                                                               \
  "site, id, version, serial, sha256, secrets, state, slot, digest, '', last_log, signer, created_ms, live_ms, message, signer_key, kept_by"

Result<Release> read_release(const Db& db, Stmt& row) {
  const auto state = control::named<ReleaseState>(row.bytes(6));
  if (state == ReleaseState::unknown)
    return db.corrupt(cat("release ", printable(row.bytes(1)), ": unknown state"));
  SiteName site = TRY(site_in(db, row, 0));
  return Release{{.id = row.text(1),
                     .version = row.text(2),
                     .serial = row.u64(3),
                     .state = state,
                     .slot = parse_slot(row.text(7)),
                     .last_log = row.text(10),
                     .signer = row.text(11),
                     .created_ms = row.i64(12),
                     .live_ms = row.i64(13),
                     .message = row.text(14)},
      std::move(site), row.text(4), row.text(5), row.text(8), row.text(9), row.text(15),
      row.text(16)};
}

// Who kept it stays when a job writes a row that it read before that.
Result<void> write_release(Db& db, const Release& r) {
  return db.run(
      "INSERT INTO releases(" RELEASE_COLUMNS ")"
      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
      " ON CONFLICT(site, id) DO UPDATE SET version = ?3, serial = ?4, sha256 = ?5, secrets = ?6, state = ?7, slot = ?8,"
      " digest = ?9, nginx = ?10, last_log = ?11, signer = ?12, created_ms = ?13, live_ms = ?14, message = ?15, signer_key = ?16,"
      " kept_by = CASE ?17 WHEN '' THEN kept_by ELSE ?17 END",
      r.site.str(), r.id, r.version, r.serial, r.sha256, r.secrets, name(r.state), letter(r.slot),
      r.digest, r.nginx, r.last_log, r.signer, r.created_ms, r.live_ms, r.message, r.signer_key,
      r.kept_by);
}

Result<SiteRow> read_site(const Db& db, Stmt& row) {
  SiteName site = TRY(site_in(db, row, 0));
  return SiteRow{.site = std::move(site),
      .live = row.text(1),
      .previous_good = row.text(2),
      .stopped = row.i64(3) != 0,
      .ports = row.text(4)};
}

Result<std::optional<SiteRow>> find_site(Db& db, const SiteName& site) {
  return db.one<SiteRow>(
      "SELECT site, live, previous_good, stopped, ports FROM sites WHERE site = ?1",
      [&](Stmt& row) { return read_site(db, row); }, site.str());
}

Result<void> write_site(Db& db, const SiteRow& row) {
  return db.run("INSERT OR REPLACE INTO sites VALUES(?1, ?2, ?3, ?4, ?5)", row.site.str(), row.live,
      row.previous_good, row.stopped, row.ports);
}

Result<std::string> text_of_row(Stmt& row) {
  return row.text(0);
}

// The newest release that is not this one and was not withdrawn: a good one, else an unproven one.
Result<std::string> newest_other(Db& db, const SiteName& site, const std::string& live) {
  const auto other = TRY(db.one<std::string>(
      "SELECT id FROM releases WHERE site = ?1 AND state IN ('good', 'unproven') AND id <> ?2"
      " AND sha256 NOT IN (SELECT sha256 FROM withdrawn WHERE site = ?1)"
      " ORDER BY state = 'good' DESC, live_ms DESC, seq DESC LIMIT 1",
      text_of_row, site.str(), live));
  return other.value_or("");
}

Result<bool> is_good(Db& db, const SiteName& site, const std::string& release) {
  const auto found = TRY(
      db.one<std::string>("SELECT id FROM releases WHERE site = ?1 AND id = ?2 AND state = 'good'"
                          " AND sha256 NOT IN (SELECT sha256 FROM withdrawn WHERE site = ?1)",
          text_of_row, site.str(), release));
  return found.has_value();
}

Result<bool> is_withdrawn(Db& db, const SiteName& site, const std::string& release) {
  const auto found = TRY(db.one<std::string>(
      "SELECT id FROM releases JOIN withdrawn USING(site, sha256) WHERE releases.site = ?1 AND id = ?2",
      text_of_row, site.str(), release));
  return found.has_value();
}

// Where a rollback goes when `now_live` has replaced `old`.
Result<std::string> choose_previous(
    Db& db, const SiteRow& before, const std::string& now_live, bool old_failed) {
  if (before.live == now_live)
    return before.previous_good;
  if (!old_failed && TRY(is_good(db, before.site, before.live)))
    return before.live;
  return newest_other(db, before.site, now_live);
}

Result<Withdrawn> read_withdrawn(const Db& db, Stmt& row) {
  SiteName site = TRY(site_in(db, row, 0));
  return Withdrawn{
      std::move(site), row.text(1), row.text(2), row.u64(3), row.text(4), row.text(5), row.i64(6)};
}

} // namespace

Result<void> Store::put_release(const Release& release) {
  const std::scoped_lock lock(m_state->mutex);
  const Relaxed relaxed(m_state->db);
  ++m_state->releases_written[release.site.str()];
  return write_release(m_state->db, release);
}

Result<void> Store::keep_release(
    const SiteName& site, const std::string& id, const std::string& by) {
  const std::scoped_lock lock(m_state->mutex);
  ++m_state->releases_written[site.str()];
  return m_state->db.run(
      "UPDATE releases SET kept_by = ?3 WHERE site = ?1 AND id = ?2", site.str(), id, by);
}

Result<std::optional<Release>> Store::release(const SiteName& site, const std::string& id) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  return db.one<Release>(
      "SELECT " RELEASE_COLUMNS " FROM releases WHERE site = ?1 AND id = ?2",
      [&](Stmt& row) { return read_release(db, row); }, site.str(), id);
}

Result<std::vector<Release>> Store::releases(const SiteName& site) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  return db.all<Release>(
      "SELECT " RELEASE_COLUMNS " FROM releases WHERE site = ?1 ORDER BY seq DESC",
      [&](Stmt& row) { return read_release(db, row); }, site.str());
}

Result<std::vector<Release>> Store::kept_releases(const SiteName& site) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  return db.all<Release>(
      "SELECT " RELEASE_COLUMNS " FROM releases INDEXED BY releases_kept"
      " WHERE site = ?1 AND state IN ('good', 'unproven') ORDER BY seq DESC",
      [&](Stmt& row) { return read_release(db, row); }, site.str());
}

Result<std::vector<Release>> Store::present_releases(const SiteName& site) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  return db.all<Release>(
      "SELECT " RELEASE_COLUMNS_WITHOUT_TEXT " FROM releases INDEXED BY releases_present"
      " WHERE site = ?1 AND state <> 'removed' ORDER BY seq DESC",
      [&](Stmt& row) { return read_release(db, row); }, site.str());
}

Result<std::vector<Release>> Store::newest_releases(
    const SiteName& site, const std::string& live, size_t limit) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  constexpr Sql k_newest =
      "SELECT " RELEASE_COLUMNS_WITHOUT_TEXT
      " FROM releases WHERE site = ?1 AND (id = ?2 OR seq >= coalesce("
      "(SELECT seq FROM releases WHERE site = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?3), 0))"
      " ORDER BY seq DESC";
  if (limit == 0)
    return std::vector<Release>{};
  return db.all<Release>(
      k_newest, [&](Stmt& row) { return read_release(db, row); }, site.str(), live, limit - 1);
}

Result<std::set<std::string>> Store::needed_artifacts() {
  const std::scoped_lock lock(m_state->mutex);
  Stmt row = TRY(m_state->db.query("SELECT DISTINCT sha256 FROM releases INDEXED BY releases_needed"
                                   " WHERE state IN ('good', 'unproven', 'staged')"));
  std::set<std::string> digests;
  while (TRY(row.row()))
    digests.insert(row.text(0));
  return digests;
}

Result<int64_t> Store::newest_release_ms(const SiteName& site) {
  const std::scoped_lock lock(m_state->mutex);
  return m_state->db.number(
      "SELECT coalesce(max(max(created_ms, live_ms)), 0) FROM releases WHERE site = ?1",
      site.str());
}

Result<void> Store::forget_old_releases(const SiteName& site) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  const Relaxed relaxed(db);
  const int64_t over = TRY(db.number( // the newest of those that go
      "SELECT coalesce((SELECT seq FROM releases WHERE site = ?1"
      " AND state IN ('failed', 'removed') ORDER BY seq DESC LIMIT 1 OFFSET ?2), 0)",
      site.str(), k_releases_kept));
  // Nothing goes back to them, and their NGINX text is most of the file.
  TRY(db.run("UPDATE releases SET nginx = '' WHERE site = ?1 AND seq > ?2"
             " AND state IN ('failed', 'removed') AND nginx <> ''",
      site.str(), over));
  // One lot at a time: a host that comes with a long history answers meanwhile.
  TRY(db.run("DELETE FROM releases WHERE seq IN (SELECT seq FROM releases WHERE site = ?1"
             " AND seq <= ?2 AND state IN ('failed', 'removed') ORDER BY seq LIMIT ?3)",
      site.str(), over, k_lot));
  // And of secret sets, with which no release comes back any more.
  return db.run(
      "DELETE FROM used_sets WHERE site = ?1 AND sha256 NOT IN (SELECT secrets FROM releases WHERE site = ?1 AND state IN ('staged', 'good', 'unproven'))"
      " AND sha256 NOT IN (SELECT sha256 FROM secret_sets WHERE site = ?1)",
      site.str());
}

uint64_t Store::releases_written(const SiteName& site) {
  const std::scoped_lock lock(m_state->mutex);
  return m_state->releases_written[site.str()];
}

uint64_t Store::sites_changed() const {
  return m_state->sites_changed;
}

Result<void> Store::put_site(const SiteRow& row) {
  const std::scoped_lock lock(m_state->mutex);
  const Relaxed relaxed(m_state->db);
  ++m_state->sites_changed;
  return write_site(m_state->db, row);
}

Result<void> Store::set_stopped(const SiteName& site, bool stopped) {
  const std::scoped_lock lock(m_state->mutex);
  const Relaxed relaxed(m_state->db);
  ++m_state->sites_changed;
  return m_state->db.run("UPDATE sites SET stopped = ?2 WHERE site = ?1", site.str(), stopped);
}

Result<void> Store::set_ports(const SiteName& site, const std::string& ports) {
  const std::scoped_lock lock(m_state->mutex);
  const Relaxed relaxed(m_state->db);
  ++m_state->sites_changed;
  return m_state->db.run("INSERT INTO sites VALUES(?1, '', '', 0, ?2)"
                         " ON CONFLICT(site) DO UPDATE SET ports = ?2",
      site.str(), ports);
}

Result<void> Store::set_not_live(const SiteName& site) {
  const std::scoped_lock lock(m_state->mutex);
  const Relaxed relaxed(m_state->db);
  ++m_state->sites_changed;
  return m_state->db.run("UPDATE sites SET live = '' WHERE site = ?1", site.str());
}

Result<std::optional<SiteRow>> Store::site(const SiteName& site) {
  const std::scoped_lock lock(m_state->mutex);
  return find_site(m_state->db, site);
}

Result<std::vector<SiteRow>> Store::sites() {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  return db.all<SiteRow>(
      "SELECT site, live, previous_good, stopped, ports FROM sites ORDER BY site",
      [&](Stmt& row) { return read_site(db, row); });
}

Result<void> Store::delete_site(const SiteName& site, int64_t now_ms) {
  const std::scoped_lock lock(m_state->mutex);
  ++m_state->sites_changed;
  ++m_state->releases_written[site.str()];
  Db& db = m_state->db;
  Txn txn = TRY(Txn::begin(db));
  TRY(db.run("DELETE FROM releases WHERE site = ?1", site.str()));
  TRY(db.run("DELETE FROM hosts WHERE site = ?1", site.str()));
  TRY(db.run("DELETE FROM secret_sets WHERE site = ?1", site.str()));
  TRY(db.run("DELETE FROM used_sets WHERE site = ?1", site.str()));
  TRY(db.run("DELETE FROM holds WHERE site = ?1", site.str()));
  TRY(db.run("DELETE FROM cron_runs WHERE site = ?1", site.str()));
  TRY(db.run("DELETE FROM totals WHERE site = ?1", site.str()));
  TRY(db.run("DELETE FROM hours WHERE site = ?1", site.str()));
  TRY(db.run("DELETE FROM sites WHERE site = ?1", site.str()));
  TRY(db.run("UPDATE notices SET state = 'resolved', tell = 'resolved', last_ms = ?2, calm_ms = 0"
             " WHERE state = 'open' AND site = ?1",
      site.str(), now_ms));
  if (db.changes() > 0)
    ++m_state->notices_changed;
  return txn.commit();
}

Result<void> Store::commit_live(
    const SiteName& site, const Release& release, bool old_failed, int64_t now_ms) {
  const std::scoped_lock lock(m_state->mutex);
  ++m_state->sites_changed;
  ++m_state->releases_written[site.str()];
  Db& db = m_state->db;
  Txn txn = TRY(Txn::begin(db));
  SiteRow row =
      TRY(find_site(db, site))
          .value_or(SiteRow{
              .site = site, .live = {}, .previous_good = {}, .stopped = false, .ports = {}});
  Release live = release;
  if (live.state != ReleaseState::unproven)
    live.state = ReleaseState::good;
  live.live_ms = now_ms;
  TRY(write_release(db, live));
  if (old_failed && row.live != live.id)
    TRY(db.run(
        "UPDATE releases SET state = 'failed' WHERE site = ?1 AND id = ?2", site.str(), row.live));
  row.previous_good = TRY(choose_previous(db, row, live.id, old_failed));
  row.live = live.id;
  row.stopped = false;
  TRY(write_site(db, row));
  TRY(raise_number(
      db, site, "site", live.serial)); // with it: a crash between the two would let an older one in
  TRY(count_up(db, site, k_manifest));
  return txn.commit();
}

// The site other than ?2 that has the name ?1 itself, or a wildcard "*.NAME" that it is below.
constexpr Sql k_owner =
    "SELECT site FROM hosts WHERE site <> ?2 AND "
    "(host = ?1 OR (host LIKE '*.%' AND substr(?1, 1 - length(host)) = substr(host, 2)))";

Result<void> Store::claim_hosts(const SiteName& site, const std::vector<std::string>& hosts) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  const Relaxed relaxed(db);
  Txn txn = TRY(Txn::begin(db));
  TRY(db.run("DELETE FROM hosts WHERE site = ?1", site.str()));
  for (const std::string& host : hosts) {
    const auto owner = TRY(db.one<std::string>(k_owner, text_of_row, host, site.str()));
    if (owner)
      return fail(
          Code::conflict, cat("host '", printable(host), "' belongs to site '", *owner, "'"));
    TRY(db.run("INSERT OR REPLACE INTO hosts VALUES(?1, ?2)", host, site.str()));
  }
  return txn.commit();
}

Result<std::optional<std::string>> Store::host_owner(const std::string& host, const SiteName& but) {
  const std::scoped_lock lock(m_state->mutex);
  return m_state->db.one<std::string>(k_owner, text_of_row, host, but.str());
}

Result<void> Store::withdraw(const Withdrawn& w) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  Txn txn = TRY(Txn::begin(db));
  TRY(db.run(
      "INSERT INTO withdrawn VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET actor = excluded.actor, why = excluded.why, time_ms = excluded.time_ms WHERE excluded.why <> ''",
      w.site.str(), w.sha256, w.version, w.serial, w.actor, w.why, w.time_ms));
  if (auto row = TRY(find_site(db, w.site));
      row && !row->previous_good.empty() && TRY(is_withdrawn(db, w.site, row->previous_good))) {
    row->previous_good = TRY(newest_other(db, w.site, row->live));
    TRY(write_site(db, *row));
  }
  return txn.commit();
}

Result<std::vector<Withdrawn>> Store::withdrawn(const SiteName& site) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  return db.all<Withdrawn>(
      "SELECT site, sha256, version, serial, actor, why, time_ms FROM withdrawn WHERE site = ?1 ORDER BY time_ms, serial",
      [&](Stmt& row) { return read_withdrawn(db, row); }, site.str());
}

Result<std::vector<Withdrawn>> Store::withdrawn() {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  return db.all<Withdrawn>(
      "SELECT site, sha256, version, serial, actor, why, time_ms FROM withdrawn ORDER BY time_ms, serial",
      [&](Stmt& row) { return read_withdrawn(db, row); });
}

} // namespace chillbox::store
