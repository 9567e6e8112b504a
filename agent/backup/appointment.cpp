// What is made, deleted and proven by itself when its time has come.
#include "backup/backups.hpp"
#include "backup/retention.hpp"
#include "base/guarded.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/time.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace chillbox::backup {
namespace {

using control::Backup;
using control::BackupState;

constexpr std::array<int64_t, 2> k_retries{600, 3'600}; // seconds

int64_t period_of(const std::string& prove) { // 0: never
  return prove == "daily"  ? k_day_ms
      : prove == "weekly"  ? 7 * k_day_ms
      : prove == "monthly" ? 30 * k_day_ms
                           : 0;
}

} // namespace

void Backups::run_all() {
  m_retries = 0;
  m_retry_at = 0; // all of it is made now
  const auto rows = m_host.store.sites();
  if (!rows)
    log::error(cat("backups: ", rows.error().message));
  else
    change_due([&](std::set<SiteName>& due) {
      due.clear();
      for (const auto& row : *rows)
        if (!row.live.empty())
          due.insert(row.site);
    });
  start(Work::make);
}

bool Backups::is_due(const SiteName& site) {
  const std::lock_guard lock(m_mutex);
  return m_due.contains(site);
}

void Backups::change_due(const std::function<void(std::set<SiteName>&)>& change) {
  const std::lock_guard lock(m_mutex);
  change(m_due);
  if (const auto kept = m_records.keep_due(m_due); !kept)
    log::error(cat("backups: ", kept.error().message));
}

std::optional<int64_t> Backups::retry_at() const {
  const int64_t at = m_retry_at;
  return at == 0 ? std::nullopt : std::optional(at);
}

void Backups::retry() {
  m_retry_at = 0;
  start(Work::make);
}

void Backups::unlocked() {
  if (!m_host.config.target.empty())
    start(Work::prove);
}

void Backups::start(Work work) {
  {
    const std::lock_guard lock(m_mutex);
    m_waiting.insert(work);
    if (m_stop || std::exchange(m_running, true))
      return;
  }
  auto begun = m_thread.start("backups", [this] {
    while (const auto next = next_work()) {
      (void)guarded("backups", [&] { work_through(*next); });
      if (next == Work::make)
        (void)guarded("backups", [this] { plan_retry(); });
    }
  });
  if (!begun) {
    const std::lock_guard lock(m_mutex);
    m_running = false;
    m_retry_at = m_host.clock.wall() + k_retries.front();
    log::error(cat("backups: ", begun.error().message));
  }
}

// nullopt: the thread ends.
std::optional<Backups::Work> Backups::next_work() {
  const std::lock_guard lock(m_mutex);
  if (m_stop || m_waiting.empty()) {
    m_running = false;
    return std::nullopt;
  }
  return m_waiting.extract(m_waiting.begin()).value();
}

// The first one, and then the newest when the last proof is old enough, or a day after one that was
// not good. An hour less: the schedule is not to the second.
bool Backups::proof_due(const SiteRecord& record) const {
  const int64_t period = period_of(m_host.config.prove);
  const bool stored = std::ranges::any_of(
      record.backups, [](const Backup& b) { return b.stored_ms != 0 && b.gone_ms == 0; });
  const int64_t since = m_host.clock.wall_ms() - record.state.checked_ms;
  const int64_t wait = record.state.unproven.empty() ? period : std::min(period, k_day_ms);
  return period > 0 && stored &&
      (record.state.checked_ms == 0 || since < 0 || since >= wait - k_hour_ms);
}

// What could not be stored, or a new one.
Result<Backup> Backups::try_again(const SiteName& site) {
  const auto all = TRY(m_records.of(site)).backups;
  if (all.empty() || all.front().stored_ms != 0 || all.front().gone_ms != 0)
    return create_now(site);
  const auto stored = store_waiting(site);
  if (!stored && stored.error().code == Code::interrupted && m_stop)
    return std::unexpected(stored.error()); // it failed before, which is still noted
  note(site, stored ? "" : cat("taken, but not stored: ", stored.error().message));
  TRY(stored);
  return all.front();
}

void Backups::plan_retry() {
  bool failed = false;
  for (const auto& row : m_host.store.sites().value_or(std::vector<store::SiteRow>{})) {
    const auto record = m_records.of(row.site);
    const bool bad = record &&
        (!record->state.problem.empty() || (!record->state.unproven.empty() && proof_due(*record)));
    failed = failed || (!row.live.empty() && (is_due(row.site) || bad));
  }
  const size_t before = m_retries;
  const bool again = failed && before < k_retries.size();
  m_retry_at = again ? m_host.clock.wall() + k_retries[before] : 0;
  m_retries = again ? before + 1 : 0;
  if (m_host.changed)
    m_host.changed();
}

// At once what was not tried; else ten minutes after the last try, or when those are over.
void Backups::remember_retry() {
  m_due = m_records.due().value_or(std::set<SiteName>{});
  int64_t tried = 0;
  bool due = false;
  for (const auto& row : m_host.store.sites().value_or(std::vector<store::SiteRow>{})) {
    due = due || (!row.live.empty() && m_due.contains(row.site));
    if (const auto record = m_records.of(row.site);
        !row.live.empty() && record && !record->state.problem.empty())
      tried = std::max(tried, record->state.tried_ms / 1000);
  }
  if ((tried == 0 && !due) || m_host.config.target.empty())
    return;
  const int64_t now = m_host.clock.wall();
  m_retry_at = due ? now : std::clamp(tried + k_retries.front(), now, now + k_retries.front());
  m_retries = due ? 0 : 1;
}

void Backups::work_through(Work work) {
  const auto rows = m_host.store.sites();
  if (!rows)
    return log::error(cat("backups: ", rows.error().message));
  for (const auto& row : *rows) {
    if (row.live.empty() || m_stop)
      continue;
    const std::lock_guard one(m_work);
    const auto before = m_records.of(row.site);
    const bool due = is_due(row.site), failed = before && !before->state.problem.empty();
    if (work == Work::make && (due || failed) && (due ? create_now(row.site) : try_again(row.site)))
      delete_superfluous(row.site);
    const auto record = m_records.of(row.site);
    if (record && proof_due(*record) && !m_stop)
      (void)verify_now(row.site); // what comes of it is in its record
  }
}

// The signature first: what has none is no backup. What is not there need not be deleted.
Result<void> Backups::delete_one(const Backup& b) {
  for (const auto& name : {cat(b.name, k_signature_suffix), b.name})
    if (auto removed = m_target.remove(name); !removed && removed.error().code != Code::not_found)
      return removed;
  return {};
}

// A word on what is still there although it was deleted, and on what is gone that should be there.
Result<std::string> Backups::delete_some(const SiteName& site) {
  const auto all = TRY(m_records.of(site)).backups;
  config::Keep keep;
  if (!config::parse_keep(m_host.config.keep, keep))
    return fail(Code::invalid, "backup.keep cannot be read");
  const auto may_go = superfluous(all, keep);
  const auto goes = [&](const Backup& b) {
    return std::ranges::find(may_go, b.serial) != may_go.end();
  };
  Result<void> deleted; // the first error
  for (const auto& b : all)
    if (goes(b) && !m_stop)
      if (auto one = delete_one(b); !one && deleted)
        deleted = std::move(one);
  std::set<std::string, std::less<>> there;
  for (const auto& line : TRY(m_target.list()))
    there.insert(line.substr(0, line.find(' ')));
  size_t stayed = 0, lost = 0;
  for (Backup b : all) {
    if (b.stored_ms == 0 || b.gone_ms != 0)
      continue;
    const bool has_both = there.contains(b.name) && there.contains(cat(b.name, k_signature_suffix));
    if (goes(b) && (there.contains(b.name) || has_both))
      ++stayed;
    else if (!has_both) {
      lost += goes(b) ? 0 : 1;
      b.gone_ms = m_host.clock.wall_ms();
      TRY(m_records.put(b));
    }
  }
  TRY(deleted);
  std::string said;
  if (stayed > 0)
    said = cat("deletion had no effect: ", stayed, " of ", may_go.size(),
        " old backups are still at the target");
  if (lost > 0)
    said += cat(said.empty() ? "" : "; ", lost,
        " backups are gone from the target that this host did not delete");
  return said;
}

void Backups::delete_superfluous(const SiteName& site) {
  const auto said = delete_some(site);
  if (!said && said.error().code == Code::interrupted && m_stop)
    return; // the next run does the rest
  const std::string text = said ? *said : said.error().message;
  if (!text.empty())
    log::warn(cat("backup of '", site.str(), "': ", text));
  const auto noted = m_records.change_state(
      site, [&](BackupState& state) { state.retention = printable(text, 500); });
  if (!noted)
    log::error(cat("backup of '", site.str(), "': ", noted.error().message));
}

// Twice its time and an hour more without one.
std::string Backups::stale(const BackupState& s) const {
  const int64_t now = m_host.clock.wall_ms();
  const std::string todo = cat(": `chillboxctl backup list ", s.site.str(), "`");
  if (s.stored_ms != 0 || s.tried_ms != 0) {
    const auto first = m_host.next_due(s.stored_ms / 1000);
    const auto second = first ? m_host.next_due(*first) : std::nullopt;
    if (s.stored_ms == 0)
      return cat("no backup is stored: ", s.problem, todo);
    if (second && now > *second * 1000 + k_hour_ms)
      return cat("the newest backup that is stored is of ", rfc3339(s.stored_ms / 1000),
          s.problem.empty() ? "" : cat(": ", s.problem), todo);
  }
  if (!s.retention.empty())
    return cat(s.retention, todo);
  const int64_t period = period_of(m_host.config.prove);
  if (period > 0 && !s.unproven.empty())
    return cat("not proven since ", s.proven_ms == 0 ? "ever" : rfc3339(s.proven_ms / 1000), ": ",
        s.unproven, todo);
  if (period > 0 && s.stored_ms != 0 && s.proven_ms != 0 &&
      now - s.checked_ms > 2 * period + k_hour_ms)
    return cat("not proven since ", rfc3339(s.proven_ms / 1000), todo);
  return "";
}

} // namespace chillbox::backup
