#include "store/store_internal.hpp"

namespace chillbox::store {
namespace {

#define RUN_COLUMNS                                                                                \
  "id, site, release, line, actor, state, started_ms, ended_ms, code, count, text, kind, service"

Result<CronRun> read_run(const Db& db, Stmt& row) {
  SiteName site = TRY(site_in(db, row, 1));
  return CronRun{.id = row.u64(0),
      .site = std::move(site),
      .release = row.text(2),
      .line = row.text(3),
      .actor = row.text(4),
      .kind = control::named<control::RunKind>(row.bytes(11)),
      .service = row.text(12),
      .state = control::named<CronState>(row.bytes(5)),
      .started_ms = row.i64(6),
      .ended_ms = row.i64(7),
      .code = row.null(8) ? std::nullopt : std::optional(static_cast<int>(row.i64(8))),
      .count = row.u64(9),
      .text = row.text(10)};
}

Result<uint64_t> insert_run(Db& db, const CronRun& r) {
  TRY(db.run(
      "INSERT INTO cron_runs(site, release, line, actor, state, started_ms, ended_ms, code, count, text,"
      " kind, service) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL, ?8, ?9, ?10, ?11)",
      r.site.str(), r.release, r.line, r.actor, name(r.state), r.started_ms, r.ended_ms, r.count,
      r.text, name(r.kind), r.service));
  return static_cast<uint64_t>(db.last_row());
}

Result<void> forget_old_runs(Db& db, const CronRun& newest) {
  TRY(db.run(
      "DELETE FROM cron_runs WHERE site = ?1 AND line = ?2 AND ended_ms <> 0 AND id <="
      " (SELECT id FROM cron_runs WHERE site = ?1 AND line = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)",
      newest.site.str(), newest.line, k_cron_runs_kept));
  return db.run("DELETE FROM cron_runs WHERE site = ?1 AND ended_ms <> 0 AND id <="
                " (SELECT id FROM cron_runs WHERE site = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
      newest.site.str(), k_cron_runs_of_site);
}

Result<std::optional<CronRun>> last_run(Db& db, const SiteName& site, const std::string& line) {
  return db.one<CronRun>(
      "SELECT " RUN_COLUMNS
      " FROM cron_runs WHERE site = ?1 AND line = ?2 ORDER BY id DESC LIMIT 1",
      [&](Stmt& row) { return read_run(db, row); }, site.str(), line);
}

} // namespace

Result<uint64_t> Store::begin_cron_run(const CronRun& run) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  Txn txn = TRY(Txn::begin(db));
  const uint64_t id = TRY(insert_run(db, run));
  TRY(forget_old_runs(db, run));
  TRY(txn.commit());
  return id;
}

Result<void> Store::end_cron_run(const CronRun& run) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  Txn txn = TRY(Txn::begin(db));
  TRY(db.run("UPDATE cron_runs SET state = ?2, ended_ms = ?3, text = ?4 WHERE id = ?1", run.id,
      name(run.state), run.ended_ms, run.text));
  if (run.code)
    TRY(db.run("UPDATE cron_runs SET code = ?2 WHERE id = ?1", run.id, *run.code));
  TRY(tell_of_run(db, run));
  TRY(txn.commit());
  ++m_state->notices_changed;
  return {};
}

Result<void> Store::skip_cron_run(const CronRun& run) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  Txn txn = TRY(Txn::begin(db));
  const auto last = TRY(last_run(db, run.site, run.line));
  if (last && last->state == CronState::skipped && last->text == run.text &&
      last->release == run.release)
    TRY(db.run("UPDATE cron_runs SET count = count + 1, ended_ms = ?2 WHERE id = ?1", last->id,
        run.ended_ms));
  else
    TRY(insert_run(db, run));
  TRY(forget_old_runs(db, run));
  return txn.commit();
}

Result<void> Store::forget_cron_run(uint64_t id) {
  const std::scoped_lock lock(m_state->mutex);
  return m_state->db.run("DELETE FROM cron_runs WHERE id = ?1", id);
}

Result<std::optional<CronRun>> Store::cron_run(uint64_t id) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  return db.one<CronRun>(
      "SELECT " RUN_COLUMNS " FROM cron_runs WHERE id = ?1",
      [&](Stmt& row) { return read_run(db, row); }, id);
}

Result<std::vector<CronRun>> Store::runs(
    const SiteName& site, control::RunKind kind, size_t limit, const control::Period& period) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  const auto read = [&](Stmt& row) { return read_run(db, row); };
  if (period.any())
    return db.all<CronRun>(
        "SELECT " RUN_COLUMNS
        " FROM cron_runs WHERE site = ?1 AND kind = ?2 AND started_ms BETWEEN ?3 AND ?4"
        " ORDER BY started_ms DESC, id DESC LIMIT ?5",
        read, site.str(), name(kind), period.since_ms, period.until_ms, limit);
  return db.all<CronRun>("SELECT " RUN_COLUMNS
                         " FROM cron_runs WHERE site = ?1 AND kind = ?2 ORDER BY id DESC LIMIT ?3",
      read, site.str(), name(kind), limit);
}

Result<std::optional<CronRun>> Store::last_cron_run(const SiteName& site, const std::string& line) {
  const std::scoped_lock lock(m_state->mutex);
  return last_run(m_state->db, site, line);
}

Result<std::vector<CronRun>> Store::open_cron_runs() {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  return db.all<CronRun>("SELECT " RUN_COLUMNS " FROM cron_runs WHERE ended_ms = 0 ORDER BY id",
      [&](Stmt& row) { return read_run(db, row); });
}

} // namespace chillbox::store
