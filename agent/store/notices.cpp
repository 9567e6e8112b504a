#include "store/notices.hpp"

#include "base/text.hpp"
#include "base/time.hpp"
#include "crypto/hash.hpp"
#include "store/store_internal.hpp"

#include <algorithm>

namespace chillbox::store {
namespace {

constexpr size_t k_longest = 2'000;

#define NOTICE_COLUMNS "number, event, site, subject, state, text, first_ms, last_ms, count"

// "$SITE" and "$SUBJECT" of an advice. What is the host's own has a subject alone.
std::string filled(std::string_view advice, const Notice& notice) {
  std::string out(advice);
  const auto put = [&](std::string_view name, const std::string& value) {
    for (auto at = out.find(name); at != std::string::npos; at = out.find(name, at + value.size()))
      out.replace(at, name.size(), value);
  };
  put("$SITE", notice.site.empty() ? notice.subject : notice.site);
  put("$SUBJECT", notice.subject);
  return out;
}

} // namespace

Result<Notice> read_notice(Stmt& row) {
  Notice notice{.number = row.u64(0),
      .event = row.text(1),
      .site = row.text(2),
      .subject = row.text(3),
      .severity = {},
      .state = row.text(4),
      .text = row.text(5),
      .advice = {},
      .first_ms = row.i64(6),
      .last_ms = row.i64(7),
      .count = row.u64(8)};
  if (const auto* event = control::find_notice_event(notice.event)) {
    notice.severity = event->severity;
    notice.advice = filled(event->advice, notice);
  }
  return notice;
}

namespace {

Result<void> forget_old(Db& db) {
  TRY(db.run(
      "DELETE FROM notices WHERE state <> 'open' AND number <="
      " (SELECT number FROM notices WHERE state <> 'open' ORDER BY number DESC LIMIT 1 OFFSET ?1)",
      k_notices_open));
  if (TRY(db.number("SELECT count(*) FROM notices WHERE state = 'open'")) <= k_notices_open)
    return {};
  TRY(db.run("INSERT INTO meta VALUES('notices_dropped', 1)"
             " ON CONFLICT(key) DO UPDATE SET value = CAST(value AS INTEGER) + 1"));
  return db.run(
      "DELETE FROM notices WHERE number = (SELECT number FROM notices WHERE state = 'open'"
      " ORDER BY rank, number LIMIT 1)");
}

// Of a state with an end: the open one. Else the same text within an hour.
Result<bool> count_again(Db& db, const Happening& h, bool lasts, int64_t calm_ms) {
  if (lasts)
    TRY(db.run("UPDATE notices SET count = count + 1, last_ms = ?4, text = ?5, calm_ms = ?6"
               " WHERE event = ?1 AND site = ?2 AND subject = ?3 AND state = 'open'",
        h.event, h.site, h.subject, h.time_ms, printable(h.text, k_longest), calm_ms));
  else
    TRY(db.run("UPDATE notices SET count = count + 1, last_ms = ?4 WHERE event = ?1 AND site = ?2"
               " AND subject = ?3 AND state = 'once' AND text = ?5 AND last_ms > ?6",
        h.event, h.site, h.subject, h.time_ms, printable(h.text, k_longest),
        h.time_ms - k_hour_ms));
  return db.changes() > 0;
}

Result<void> insert(Db& db, const Happening& h, bool lasts, int64_t calm_ms, int rank) {
  TRY(db.run(
      "INSERT INTO notices(event, site, subject, state, rank, text, first_ms, last_ms, count,"
      " tell, told_ms, calm_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, 1, 'open', 0, ?8)",
      h.event, h.site, h.subject, std::string_view(lasts ? "open" : "once"), rank,
      printable(h.text, k_longest), h.time_ms, calm_ms));
  return forget_old(db);
}

} // namespace

Result<void> raise(Db& db, const Happening& h) {
  const auto* event = control::find_notice_event(h.event);
  if (event == nullptr)
    return fail(Code::invalid, cat("no notice '", printable(h.event, 60), "'"));
  const bool lasts = !event->resolved.empty();
  const int64_t calm_ms = event->calm_ms == 0 ? 0 : h.time_ms + event->calm_ms + h.pause_ms;
  if (TRY(count_again(db, h, lasts, calm_ms)))
    return {};
  return insert(db, h, lasts, calm_ms, control::severity_rank(event->severity).value_or(0));
}

Result<void> end_notice(Db& db, std::string_view event, const std::optional<std::string>& site,
    const std::optional<std::string>& subject, int64_t now_ms) {
  const auto any = [](const auto& text) {
    return text ? std::optional<std::string_view>(*text) : std::nullopt;
  };
  return db.run(
      "UPDATE notices SET state = 'resolved', tell = 'resolved', last_ms = ?4, calm_ms = 0"
      " WHERE state = 'open' AND event = ?1 AND site = coalesce(?2, site)"
      " AND subject = coalesce(?3, subject)",
      event, any(site), any(subject), now_ms);
}

Result<void> tell_of_job(Db& db, const Job& job) {
  const std::string& site = job.site.str();
  if (job.kind == JobKind::ping || job.kind == JobKind::stop || job.kind == JobKind::unknown)
    return {};
  if (job.state == JobState::done) { // with `remove` there is nothing left to be told of
    TRY(end_notice(db, "deploy.failed", site, std::nullopt, job.finished_ms));
    return end_notice(db, "deploy.rolled_back", site, std::nullopt, job.finished_ms);
  }
  if (job.state != JobState::failed || job.code == Code::busy)
    return {};
  const bool back = job.code == Code::rolled_back;
  return raise(db,
      {.event = back ? "deploy.rolled_back" : "deploy.failed",
          .site = site,
          .subject = {},
          .text = cat(
              name(job.kind), job.version.empty() ? "" : " of ", job.version, ": ", job.message),
          .time_ms = job.finished_ms});
}

namespace {

constexpr size_t k_shown = 100; // of a crontab line

// Two that begin alike are two.
std::string subject_of(std::string_view line) {
  const std::string shown = printable(line, k_shown);
  return line.size() <= k_shown
      ? shown
      : cat(shown, " #", crypto::sha256_of(bytes_of(line)).str().substr(0, 8));
}

} // namespace

Result<void> tell_of_run(Db& db, const CronRun& run) {
  if (run.kind != control::RunKind::cron)
    return {};
  const std::string subject = subject_of(run.line);
  if (run.state == CronState::done)
    return end_notice(db, "cron.failed", run.site.str(), subject, run.ended_ms);
  if (run.state != CronState::failed && run.state != CronState::lost)
    return {};
  return raise(db,
      {.event = "cron.failed",
          .site = run.site.str(),
          .subject = subject,
          .text = cat("'", printable(run.line, k_shown), "' ",
              run.code ? cat("ended with code ", *run.code) : run.text),
          .time_ms = run.ended_ms});
}

Result<void> tell_of_audit(Db& db, const AuditEntry& entry) {
  for (const std::string_view verb : {"trust_add", "trust_change", "trust_remove", "webhook_add",
           "webhook_change", "webhook_remove"})
    if (entry.verb == verb)
      return raise(db,
          {.event = "trust.changed",
              .site = {},
              .subject = {},
              .text = cat(entry.verb, ": ", entry.text, ", by ", entry.actor),
              .time_ms = entry.time_ms});
  return {};
}

uint64_t Notices::changed() const {
  return m_store.state().notices_changed;
}

Result<void> Notices::raise(const Happening& happening) {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  Txn txn = TRY(Txn::begin(state.db));
  TRY(store::raise(state.db, happening));
  TRY(txn.commit());
  ++state.notices_changed;
  return {};
}

Result<void> Notices::resolve(std::string_view event, const std::optional<std::string>& site,
    const std::optional<std::string>& subject, int64_t now_ms, bool quietly) {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  TRY(end_notice(state.db, event, site, subject, now_ms));
  if (state.db.changes() == 0)
    return {};
  ++state.notices_changed;
  if (!quietly)
    return {};
  return state.db.run(
      "UPDATE notices SET tell = '' WHERE event = ?1 AND state = 'resolved' AND last_ms = ?2",
      event, now_ms);
}

Result<bool> Notices::is_open(std::string_view event, const SiteName& site) {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  return TRY(state.db.number(
             "SELECT count(*) FROM notices WHERE event = ?1 AND site = ?2 AND state = 'open'",
             event, site.str())) > 0;
}

Result<void> Notices::keep_cron(
    const SiteName& site, const std::vector<std::string>& lines, int64_t now_ms) {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  const auto open = TRY(state.db.all<std::string>(
      "SELECT subject FROM notices WHERE event = 'cron.failed' AND site = ?1 AND state = 'open'",
      [](Stmt& row) -> Result<std::string> { return row.text(0); }, site.str()));
  for (const auto& subject : open)
    if (std::ranges::none_of(
            lines, [&](const auto& line) { return subject_of(line) == subject; })) {
      TRY(end_notice(state.db, "cron.failed", site.str(), subject, now_ms));
      ++state.notices_changed;
    }
  return {};
}

Result<void> Notices::set(
    std::string_view event, const std::vector<Happening>& found, int64_t now_ms) {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  Db& db = state.db;
  const auto open = TRY(db.all<Notice>(
      "SELECT " NOTICE_COLUMNS " FROM notices WHERE event = ?1 AND state = 'open'",
      [](Stmt& row) { return read_notice(row); }, event));
  Txn txn = TRY(Txn::begin(db));
  bool changed = false;
  const auto same = [](const Notice& notice, const Happening& h) {
    return notice.site == h.site && notice.subject == h.subject;
  };
  for (const auto& notice : open)
    if (std::ranges::none_of(found, [&](const auto& h) { return same(notice, h); })) {
      TRY(end_notice(db, event, notice.site, notice.subject, now_ms));
      changed = true;
    }
  for (const auto& h : found)
    if (std::ranges::none_of(open, [&](const auto& notice) { return same(notice, h); })) {
      TRY(store::raise(db, h));
      changed = true;
    }
  if (!changed)
    return {};
  TRY(txn.commit());
  ++state.notices_changed;
  return {};
}

Result<control::NoticeList> Notices::list(
    size_t limit, const std::function<bool(const std::string& site)>& shows) {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  Db& db = state.db;
  control::NoticeList list;
  Stmt rows =
      TRY(db.query("SELECT " NOTICE_COLUMNS " FROM notices ORDER BY state <> 'open', number DESC"));
  while (list.notices.size() < limit && TRY(rows.row()))
    if (auto notice = TRY(read_notice(rows)); !shows || shows(notice.site))
      list.notices.push_back(std::move(notice));
  list.dropped = static_cast<uint64_t>(TRY(db.number(
      "SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'notices_dropped'), 0)")));
  return list;
}

Result<std::vector<Notice>> Notices::calm(int64_t now_ms) {
  auto& state = m_store.state();
  const std::scoped_lock lock(state.mutex);
  Db& db = state.db;
  auto ended = TRY(db.all<Notice>(
      "SELECT " NOTICE_COLUMNS " FROM notices WHERE state = 'open' AND calm_ms BETWEEN 1 AND ?1",
      [](Stmt& row) { return read_notice(row); }, now_ms));
  if (ended.empty())
    return ended;
  TRY(db.run("UPDATE notices SET state = 'resolved', tell = 'resolved', last_ms = ?1, calm_ms = 0"
             " WHERE state = 'open' AND calm_ms BETWEEN 1 AND ?1",
      now_ms));
  ++state.notices_changed;
  return ended;
}

} // namespace chillbox::store
