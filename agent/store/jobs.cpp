#include "base/json.hpp"
#include "base/text.hpp"
#include "control/json.hpp"
#include "store/store_internal.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace chillbox::store {
namespace {

#define JOB_COLUMNS                                                                                              \
  "id, kind, site, version, sha256, size, service, actor, options, state, step, release, previous, created_ms, " \
  "started_ms, finished_ms, code, message, gap_ms, key"

// The column `options`: an object with those that are set.
constexpr std::pair<const char*, bool JobOptions::*> k_options[] = {
    {"allow_downgrade", &JobOptions::allow_downgrade}, {"allow_jump", &JobOptions::allow_jump},
    {"no_watch", &JobOptions::no_watch}, {"purge", &JobOptions::purge},
    {"with_data", &JobOptions::with_data}, {"retry", &JobOptions::retry}};

// What cannot be read allows nothing.
JobOptions read_options(std::string_view text) {
  JobOptions options;
  const auto json = parse_json(text.empty() ? "{}" : text, 4096);
  if (json && json->is_object())
    for (const auto& [name, member] : k_options)
      options.*member = control::bool_or(*json, name, false);
  return options;
}

std::string options_text(const JobOptions& options) {
  std::string out = "{";
  for (const auto& [name, member] : k_options)
    if (options.*member)
      out += cat(out.size() > 1 ? "," : "", '"', name, "\":true");
  return out + "}";
}

// For the audit trail.
std::string asked_with(const Job& job) {
  std::string out;
  for (const auto& [name, member] : k_options) {
    if (job.options.*member && member != &JobOptions::retry)
      out += cat(out.empty() ? " (--" : ", --", name);
  }
  std::ranges::replace(out, '_', '-');
  return out.empty() ? out : out + ")";
}

Result<Job> read_job(const Db& db, Stmt& row) {
  const auto kind = control::named<JobKind>(row.bytes(1));
  const auto state = control::named<JobState>(row.bytes(9));
  if (kind == JobKind::unknown || state == JobState::unknown)
    return db.corrupt(cat("job ", printable(row.bytes(0)), ": unknown kind or state"));
  SiteName site = TRY(site_in(db, row, 2));
  Job job{.id = row.text(0),
      .kind = kind,
      .site = std::move(site),
      .version = row.text(3),
      .sha256 = row.text(4),
      .size = row.u64(5),
      .service = row.text(6),
      .actor = row.text(7),
      .options = read_options(row.text(8)),
      .state = state,
      .step = row.text(10),
      .release = row.text(11),
      .previous = row.text(12),
      .created_ms = row.i64(13),
      .started_ms = row.i64(14),
      .finished_ms = row.i64(15),
      .gap_ms = row.i64(18),
      .code = std::nullopt,
      .message = row.text(17),
      .key = row.text(19)};
  if (job.kind == JobKind::rollback && job.options.purge) // of an earlier version
    job.options = {.with_data = true, .retry = job.options.retry};
  if (!row.null(16))
    job.code = code_from_name(row.bytes(16));
  return job;
}

std::optional<std::string_view> code_text(const std::optional<Code>& code) {
  return code ? std::optional(code_name(*code)) : std::nullopt;
}

// An ended job stays as it ended: a rollout that did not yet see that it was superseded must not
// bring it back.
Result<void> write_job(Db& db, const Job& job) {
  TRY(db.run(
      "UPDATE jobs SET state = ?2, step = ?3, release = ?4, previous = ?5, started_ms = ?6, finished_ms = ?7, code = ?8,"
      " message = ?9, version = ?10, open = ?11, gap_ms = ?12 WHERE id = ?1 AND open = 1",
      job.id, name(job.state), job.step, job.release, job.previous, job.started_ms, job.finished_ms,
      code_text(job.code), job.message, job.version, is_open(job.state), job.gap_ms));
  if (db.changes() == 1)
    return {};
  const auto state = TRY(db.one<std::string>(
      "SELECT state FROM jobs WHERE id = ?1",
      [](Stmt& row) -> Result<std::string> { return row.text(0); }, job.id));
  if (!state)
    return fail(Code::not_found, cat("no job ", printable(job.id)));
  return fail(Code::conflict, cat("job ", job.id, " has already ended: ", *state));
}

Result<uint64_t> write_event(Db& db, const std::string& job, const JobEvent& event) {
  const auto number = TRY(db.one<uint64_t>(
      "INSERT INTO events SELECT seq, coalesce((SELECT max(number) FROM events WHERE job = seq), 0) + 1, ?2, ?3, ?4, ?5"
      " FROM jobs WHERE id = ?1 RETURNING number",
      [](Stmt& row) -> Result<uint64_t> { return row.u64(0); }, job, event.time_ms, event.step,
      name(event.kind), event.text));
  if (!number)
    return fail(Code::not_found, cat("no job ", printable(job)));
  return *number;
}

constexpr std::string_view k_ping_source = "ping ";

// With the end itself, since a job that ends once more after a crash would be in the trail twice.
Result<void> audit_end(Db& db, const Job& job) {
  return write_audit(db,
      {.number = 0,
          .time_ms = job.finished_ms,
          .actor = job.actor,
          .verb = std::string(name(job.kind)),
          .site = job.site.str(),
          .text = cat(job.message, asked_with(job)),
          .outcome = std::string(job.code ? code_name(*job.code) : "ok")});
}

bool is_announced(const Job& job) {
  return job.actor.starts_with(k_webhook_actor);
}

Result<void> write_record(Db& db, const Job& job, const std::vector<JobEvent>& events) {
  Txn txn = TRY(Txn::begin(db));
  TRY(write_job(db, job));
  for (const JobEvent& event : events)
    TRY(write_event(db, job.id, event));
  if (!is_open(job.state)) { // else it would be told twice, too
    TRY(tell_of_job(db, job));
    TRY(audit_end(db, job));
  }
  return txn.commit();
}

// Else it has ended already, or is gone.
bool is_to_be_written(const Error& error) {
  return error.code != Code::conflict && error.code != Code::not_found;
}

} // namespace

Result<SiteName> site_in(const Db& db, const Stmt& stmt, int column) {
  auto site = SiteName::parse(stmt.bytes(column));
  if (!site)
    return db.corrupt(site.error().message);
  return site;
}

Result<int64_t> newest_job(Db& db, const std::string& source) {
  return db.number("SELECT coalesce(max(number), 0) FROM jobs WHERE source = ?1", source);
}

Result<void> insert_job(Db& db, const Job& job, const std::string& source, int64_t number) {
  return db.run(
      "INSERT INTO jobs(open, " JOB_COLUMNS ", source, number)"
      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)",
      is_open(job.state), job.id, name(job.kind), job.site.str(), job.version, job.sha256, job.size,
      job.service, job.actor, options_text(job.options), name(job.state), job.step, job.release,
      job.previous, job.created_ms, job.started_ms, job.finished_ms, code_text(job.code),
      job.message, job.gap_ms, job.key, source, number);
}

std::string source_of(const Job& job) {
  return cat(job.kind == JobKind::ping ? k_ping_source : "", job.actor);
}

Result<void> supersede(Db& db, const Job& newer, std::string_view source, int64_t now_ms,
    std::vector<std::string>& ids) {
  if (newer.kind != JobKind::deploy && newer.kind != JobKind::rollback)
    return {};
  const bool deploy = newer.kind == JobKind::deploy;
  const std::string message =
      cat(deploy ? "superseded by the newer deploy " : "cancelled by the rollback ", newer.id);
  auto older = TRY(db.all<Job>(
      "SELECT " JOB_COLUMNS
      " FROM jobs INDEXED BY jobs_open WHERE open = 1 AND site = ?1 AND kind IN ('deploy', ?2) AND state <> 'running'"
      " AND (?3 = '' OR source = ?3) AND seq < coalesce((SELECT seq FROM jobs WHERE id = ?4), seq + 1)",
      [&](Stmt& row) { return read_job(db, row); }, newer.site.str(), name(newer.kind), source,
      newer.id));
  for (Job& job : older) {
    job.state = deploy ? JobState::superseded : JobState::cancelled;
    job.finished_ms = now_ms;
    job.code = Code::busy;
    job.message = message;
    TRY(write_job(db, job));
    // Who follows its events learns it there.
    (void)TRY(write_event(db, job.id,
        {.number = 0, .time_ms = now_ms, .step = "", .kind = EventKind::end, .text = message}));
    if (!is_announced(job) || !is_announced(newer))
      TRY(audit_end(db, job));
    ids.push_back(job.id);
  }
  return {};
}

std::string supersedes_at_once(const Job& newer) {
  return newer.kind == JobKind::deploy ? source_of(newer) : "";
}

Result<void> forget_old_jobs(Db& db, const std::string& source) {
  const int64_t kept = source.starts_with(k_ping_source) ? k_pings_kept : k_jobs_kept;
  const int64_t newest = TRY(newest_job(db, source));
  if (newest -
          TRY(db.number("SELECT coalesce(min(number), 0) FROM jobs WHERE source = ?1", source)) <
      kept + k_lot)
    return {};
  return db.run(
      "DELETE FROM jobs WHERE source = ?1 AND number <= ?2 AND open = 0", source, newest - kept);
}

// It is asked for after each job, so a batch is more than has arrived since the last time.
Result<void> Store::forget_old_output() {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  const Relaxed relaxed(db);
  const auto sources = TRY(db.all<std::string>( // from one to the next by the index, however many
                                                // jobs each has
      "WITH RECURSIVE found(source) AS (SELECT min(source) FROM jobs UNION ALL"
      " SELECT (SELECT min(source) FROM jobs WHERE jobs.source > found.source) FROM found WHERE found.source IS NOT NULL)"
      " SELECT source FROM found WHERE source IS NOT NULL",
      [](Stmt& row) -> Result<std::string> { return row.text(0); }));
  for (const auto& source : sources) {
    const int64_t last = TRY(newest_job(db, source)) - k_output_kept;
    if (last > 0)
      TRY(db.run("DELETE FROM events INDEXED BY events_output WHERE kind = 'log' AND job IN"
                 " (SELECT seq FROM jobs WHERE source = ?1 AND number BETWEEN ?2 AND ?3)",
          source, last - k_lot, last));
  }
  return {};
}

Result<void> Store::add_job(const Job& job, std::vector<std::string>* superseded) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  Txn txn = TRY(Txn::begin(db));
  std::vector<std::string> ids;
  TRY(supersede(db, job, supersedes_at_once(job), job.created_ms, ids));
  const std::string source = source_of(job);
  TRY(insert_job(db, job, source, TRY(newest_job(db, source)) + 1));
  TRY(forget_old_jobs(db, source));
  TRY(txn.commit());
  if (superseded != nullptr)
    *superseded = std::move(ids);
  return {};
}

Result<std::vector<std::string>> Store::supersede_older(const Job& job, int64_t now_ms) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  Txn txn = TRY(Txn::begin(db));
  std::vector<std::string> ids;
  TRY(supersede(db, job, "", now_ms, ids));
  if (!ids.empty())
    TRY(txn.commit());
  return ids;
}

Result<std::optional<Job>> Store::job(const std::string& id) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  auto found = TRY(db.one<Job>(
      "SELECT " JOB_COLUMNS " FROM jobs WHERE id = ?1",
      [&](Stmt& row) { return read_job(db, row); }, id));
  if (const auto end = m_state->unwritten.find(id); found && end != m_state->unwritten.end())
    found = end->second.job;
  return found;
}

Result<std::vector<Job>> Store::jobs(
    const std::string& site, size_t limit, const control::Period& period) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  const auto read = [&](Stmt& row) -> Result<Job> {
    Job job = TRY(read_job(db, row));
    const auto end = m_state->unwritten.find(job.id);
    return end == m_state->unwritten.end() ? std::move(job) : end->second.job;
  };
  const auto [since, until] = period;
  if (period.any() && site.empty())
    return db.all<Job>("SELECT " JOB_COLUMNS " FROM jobs WHERE created_ms BETWEEN ?1 AND ?2"
                       " ORDER BY created_ms DESC, seq DESC LIMIT ?3",
        read, since, until, limit);
  if (period.any())
    return db.all<Job>(
        "SELECT " JOB_COLUMNS
        " FROM jobs WHERE site = ?1 AND kind <> 'ping' AND created_ms BETWEEN ?2 AND ?3"
        " ORDER BY created_ms DESC, seq DESC LIMIT ?4",
        read, site, since, until, limit);
  if (site.empty())
    return db.all<Job>("SELECT " JOB_COLUMNS " FROM jobs ORDER BY seq DESC LIMIT ?1", read, limit);
  return db.all<Job>("SELECT " JOB_COLUMNS " FROM jobs WHERE site = ?1 AND kind <> 'ping'"
                     " ORDER BY seq DESC LIMIT ?2",
      read, site, limit);
}

Result<std::vector<Job>> Store::unfinished() {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  auto open = TRY(db.all<Job>("SELECT " JOB_COLUMNS
                              " FROM jobs INDEXED BY jobs_open WHERE open = 1 ORDER BY seq",
      [&](Stmt& row) { return read_job(db, row); }));
  std::erase_if(open, [&](const Job& job) { return m_state->unwritten.contains(job.id); });
  return open;
}

Result<std::string> Store::announced_by(const std::string& sha256) {
  const std::scoped_lock lock(m_state->mutex);
  const auto actor = TRY(m_state->db.one<std::string>(
      "SELECT actor FROM jobs WHERE sha256 = ?1 AND sha256 <> '' ORDER BY seq DESC LIMIT 1",
      [](Stmt& row) -> Result<std::string> { return row.text(0); }, sha256));
  return actor.value_or("");
}

Result<void> Store::update_job(const Job& job) {
  const std::scoped_lock lock(m_state->mutex);
  Db& db = m_state->db;
  const Relaxed relaxed(db);
  Txn txn = TRY(Txn::begin(db));
  TRY(write_job(db, job));
  return txn.commit();
}

Result<void> Store::record(const Job& job, const std::vector<JobEvent>& events) {
  const std::scoped_lock lock(m_state->mutex);
  const Relaxed relaxed(m_state->db);
  auto written = write_record(m_state->db, job, events);
  if (!written && !is_open(job.state) && is_to_be_written(written.error()))
    m_state->unwritten.insert_or_assign(job.id, UnwrittenEnd{job, events});
  if (written && (!is_open(job.state) || job.state == JobState::waiting_unlock))
    ++m_state->notices_changed;
  return written;
}

bool Store::has_unwritten_ends() {
  const std::scoped_lock lock(m_state->mutex);
  return !m_state->unwritten.empty();
}

Result<void> Store::write_ends() {
  const std::scoped_lock lock(m_state->mutex);
  auto& ends = m_state->unwritten;
  while (!ends.empty()) {
    const auto& [job, events] = ends.begin()->second;
    auto written = write_record(m_state->db, job, events);
    if (!written && is_to_be_written(written.error()))
      return written;
    ends.erase(ends.begin());
    ++m_state->notices_changed;
  }
  return {};
}

Result<void> Store::finish_job(const Job& job, const std::string& event_text) {
  if (is_open(job.state))
    return fail(Code::invalid, cat("job ", job.id, ": ", name(job.state), " is no end"));
  return record(job,
      {{.number = 0,
          .time_ms = job.finished_ms,
          .step = job.step,
          .kind = EventKind::end,
          .text = event_text}});
}

Result<std::vector<JobEvent>> Store::events(const std::string& job, uint64_t after, size_t limit) {
  const std::scoped_lock lock(m_state->mutex);
  auto all = TRY(m_state->db.all<JobEvent>(
      "SELECT number, time_ms, step, kind, text FROM events WHERE job = (SELECT seq FROM jobs WHERE id = ?1) AND number > ?2"
      " ORDER BY number LIMIT ?3",
      [](Stmt& row) -> Result<JobEvent> {
        return JobEvent{.number = row.u64(0),
            .time_ms = row.i64(1),
            .step = row.text(2),
            .kind = control::named<EventKind>(row.bytes(3)),
            .text = row.text(4)};
      },
      job, after, limit));
  if (const auto end = m_state->unwritten.find(job);
      end != m_state->unwritten.end() && all.size() < limit) {
    auto last = static_cast<uint64_t>(TRY(m_state->db.number(
        "SELECT coalesce(max(number), 0) FROM events WHERE job = (SELECT seq FROM jobs WHERE id = ?1)",
        job)));
    for (JobEvent event : end->second.events) {
      event.number = ++last;
      if (event.number > after && all.size() < limit)
        all.push_back(std::move(event));
    }
  }
  return all;
}

} // namespace chillbox::store
