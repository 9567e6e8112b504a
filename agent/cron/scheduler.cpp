#include "cron/scheduler.hpp"

#include "base/guarded.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "config/site.hpp"
#include "store/notices.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

namespace chillbox::cron {
namespace {

constexpr const char* k_left_off = "cron_left_off_ms";
constexpr int k_pause_ms = 1'000;
constexpr int64_t k_resume_most = 3 * 3600; // seconds
constexpr std::string_view k_lost =
    "its process was killed or the host went down, so its result is unknown";

std::optional<int64_t> again_at(const Errand& errand) {
  return errand.again_at ? errand.again_at() : std::nullopt;
}

bool readable(int fd) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, 0) == 1;
}

} // namespace

Scheduler::Scheduler(Host host)
    : m_host(std::move(host)), m_tasks(m_host.disk, m_host.clock, m_host.paths),
      m_wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  ::tzset();
  m_offset_ms = m_host.clock.wall_ms() - m_host.clock.mono().count();
}

Scheduler::~Scheduler() {
  m_stop = true;
  wake();
  m_thread.wait();
  m_claims.wait();
  write_again();
  if (m_begun)
    (void)m_host.store.set_meta(k_left_off, std::to_string(m_host.clock.wall_ms()));
}

void Scheduler::begin() {
  if (const auto left_off = m_host.store.meta(k_left_off); left_off && *left_off) {
    const int64_t now = m_host.clock.wall();
    const auto from = static_cast<int64_t>(parse_u64(**left_off).value_or(0)) / 1000;
    if (from <= now && now - from < k_resume_most)
      m_resumed = from;
    (void)m_host.store.set_meta(k_left_off, ""); // written again by an orderly stop only
  }
  adopt_runs();
  if (auto begun = m_thread.start("crontab", [this] { loop(); }); !begun)
    return log::error(
        cat("crontab: entries do not run until chillboxd starts again: ", begun.error().message));
  m_begun = true;
}

void Scheduler::adopt_runs() {
  const auto open = m_host.store.open_cron_runs();
  if (!open)
    return log::error(cat("crontab: ", open.error().message));
  const std::lock_guard lock(m_mutex);
  for (const auto& run : *open) {
    auto& running = m_running.emplace(run.id, Running{.site = run.site}).first->second;
    if (run.kind == control::RunKind::cron)
      if (const auto read = config::parse_cron_line(run.line))
        running.command = read->command;
    if (auto pidfd = m_tasks.running(run.id))
      running.pidfd = std::move(*pidfd);
    else
      finish(run.id);
  }
  for (const uint64_t id : m_tasks.all()) // those that no row names
    if (!m_running.contains(id)) {
      (void)m_tasks.kill(id);
      (void)m_tasks.finish(id);
      m_tasks.forget(id);
    }
}

void Scheduler::look() {
  wake();
}

void Scheduler::refresh() {
  if (m_host.store.sites_changed() != m_seen)
    wake();
}

void Scheduler::wake() {
  const uint64_t one = 1;
  (void)!::write(m_wake.get(), &one, sizeof one);
}

Result<std::vector<CronEntry>> Scheduler::entries(const SiteName& site) {
  const auto row = TRY(m_host.store.site(site));
  if (!row)
    return fail(Code::not_found, cat("no site '", site.str(), "' on this host"));
  std::vector<CronEntry> entries;
  if (row->live.empty() || row->stopped)
    return entries;
  const std::string file =
      cat(m_host.paths.releases(site), "/", row->live, "/", site.str(), ".site.json");
  const auto read =
      TRY(config::parse_site(TRY(m_host.disk.read(file, config::k_max_site_json)), site));
  const int64_t now = m_host.clock.wall();
  for (const auto& line : read.crontab) {
    auto parsed = TRY(config::parse_cron_line(line));
    Appointment next{parsed.when, next_due(parsed.when, now)};
    entries.push_back({entries.size() + 1, line, std::move(parsed.command), read.run_on.crontab,
        std::move(next)});
  }
  return entries;
}

std::string Scheduler::elsewhere(const CronEntry& entry) const {
  return m_host.elsewhere ? m_host.elsewhere(entry.run_on) : std::string();
}

// Of a line that is not in force any more no run will end the notice that it failed.
Result<void> Scheduler::keep_notices(const SiteName& site, const std::vector<CronEntry>& entries) {
  std::vector<std::string> lines;
  for (const auto& entry : entries)
    lines.push_back(entry.line);
  return store::Notices(m_host.store).keep_cron(site, lines, m_host.clock.wall_ms());
}

// An entry that both releases have keeps its moment, so that a switch in that second loses no run.
// A crontab that cannot be read is read again next time.
void Scheduler::read_sites() {
  const uint64_t changed = m_host.store.sites_changed();
  if (changed == m_seen)
    return;
  const auto rows = m_host.store.sites();
  if (!rows)
    return log::error(cat("crontab: ", rows.error().message));
  std::map<SiteName, Site> now;
  bool all = true;
  for (const auto& row : *rows) {
    const auto before = m_sites.find(row.site);
    if (before != m_sites.end() && before->second.release == row.live && !row.stopped) {
      now.insert(m_sites.extract(before));
      continue;
    }
    auto read = entries(row.site);
    if (!read) {
      log::error(
          cat("site '", row.site.str(), "': cannot read its crontab: ", read.error().message));
      all = false;
    } else if (auto kept = keep_notices(row.site, *read); !kept)
      log::warn(cat("notices of '", row.site.str(), "': ", kept.error().message));
    Site site{.release = row.stopped || !read ? "" : row.live,
        .entries = read ? std::move(*read) : std::vector<CronEntry>{}};
    for (auto& entry : site.entries) {
      if (m_resumed)
        entry.next.due = next_due(entry.next.when, *m_resumed);
      if (before != m_sites.end())
        for (const auto& old : before->second.entries)
          if (old.line == entry.line)
            entry.next.due = old.next.due;
    }
    now.emplace(row.site, std::move(site));
  }
  m_sites = std::move(now);
  if (all)
    m_seen = changed;
}

void Scheduler::read_errands() {
  if (m_errands.size() == m_host.errands.size())
    return;
  for (const auto& errand : m_host.errands)
    m_errands.push_back(
        {errand.when, next_due(errand.when, m_resumed.value_or(m_host.clock.wall()))});
}

void Scheduler::run_due() {
  const int64_t offset = m_host.clock.wall_ms() - m_host.clock.mono().count();
  const int64_t clock_set = (offset - std::exchange(m_offset_ms, offset)) / 1000;
  const int64_t now = m_host.clock.wall();
  for (auto& [site, plan] : m_sites)
    for (auto& entry : plan.entries)
      if (const int64_t at = entry.next.due.value_or(now); take_due(entry.next, now, clock_set))
        due(site, entry, at);
  for (size_t i = 0; i < m_errands.size(); ++i) {
    const auto again = again_at(m_host.errands[i]);
    if (take_due(m_errands[i], now, clock_set))
      m_host.errands[i].run();
    else if (again && *again <= now)
      m_host.errands[i].again();
  }
}

void Scheduler::due(const SiteName& site, const CronEntry& entry, int64_t at) {
  if (!elsewhere(entry).empty())
    return;
  if (entry.run_on == config::k_once) {
    if (auto begun = m_claims.start("claim", [this, site, entry, at] { claim(site, entry, at); });
        !begun)
      skip(site, entry, begun.error());
    return;
  }
  if (const auto id = start(site, entry, ""); !id)
    skip(site, entry, id.error());
}

void Scheduler::skip(const SiteName& site, const CronEntry& entry, const Error& why) {
  if (why.code == Code::conflict ||
      why.code == Code::not_found) // the site was stopped or removed in the meantime
    return;
  const int64_t now = m_host.clock.wall_ms();
  const auto row = m_host.store.site(site);
  store::CronRun run{.site = site,
      .release = row && *row ? (*row)->live : std::string(),
      .line = entry.line,
      .state = store::CronState::skipped,
      .started_ms = now,
      .ended_ms = now};
  run.text = why.message;
  (void)m_host.store.skip_cron_run(run);
  log::warn(cat("site '", site.str(), "': crontab: '", printable(entry.command, 80),
      "' was skipped: ", run.text));
  m_host.changed();
}

void Scheduler::collect() {
  const std::lock_guard lock(m_mutex);
  auto ended = m_unread;
  for (const auto& [id, running] : m_running)
    if (readable(running.pidfd.get()))
      ended.insert(id);
  for (const uint64_t id : ended)
    finish(id);
}

// With m_mutex held.
void Scheduler::finish(uint64_t id) {
  const auto run = m_host.store.cron_run(id);
  if (!run) {
    if (m_unread.insert(id).second)
      log::error(cat("crontab: run ", id, ": ", run.error().message));
    return;
  }
  m_unread.erase(id);
  auto found = m_running.extract(id);
  const Fd pidfd = found ? std::move(found.mapped().pidfd) : Fd();
  const auto end = m_tasks.finish(id, pidfd);
  if (!*run)
    return m_tasks.forget(id); // its site was removed
  auto row = **run;
  const bool known = end && *end;
  row.state = !known      ? store::CronState::lost
      : (*end)->code == 0 ? store::CronState::done
                          : store::CronState::failed;
  row.ended_ms = known ? (*end)->ended_ms : m_host.clock.wall_ms();
  row.text = known ? (*end)->text : end ? std::string(k_lost) : end.error().message;
  if (known)
    row.code = (*end)->code;
  (void)write(id, [this, row] { return m_host.store.end_cron_run(row); });
  if (row.state != store::CronState::done && row.kind == control::RunKind::cron)
    log::warn(cat("site '", row.site.str(), "': crontab: '", printable(row.line, 80), "' ",
        known ? cat("ended with code ", *row.code) : printable(row.text)));
  m_host.changed();
}

bool Scheduler::write(uint64_t id, std::function<Result<void>()> what) {
  if (const auto written = what(); !written) {
    if (m_unwritten.insert_or_assign(id, std::move(what)).second)
      log::error(cat("crontab: run ", id, ": ", written.error().message));
    return false;
  }
  m_tasks.forget(id); // not before: a daemon that is killed here asks again how it ended
  m_unwritten.erase(id);
  return true;
}

void Scheduler::write_again() {
  bool any = false;
  {
    const std::lock_guard lock(m_mutex);
    for (const auto& [id, what] : std::map(m_unwritten))
      any = write(id, what) || any;
  }
  if (any)
    m_host.changed();
}

bool Scheduler::waits_for_store() {
  const std::lock_guard lock(m_mutex);
  return !m_unread.empty() || !m_unwritten.empty();
}

void Scheduler::tick() {
  read_sites();
  read_errands();
  run_due();
  write_again();
  collect();
  m_resumed.reset();
}

// The timer also fires when the clock is set.
void Scheduler::arm(int timer) {
  std::optional<int64_t> first;
  for (const auto& [site, plan] : m_sites)
    for (const auto& entry : plan.entries)
      if (entry.next.due && (!first || *entry.next.due < *first))
        first = entry.next.due;
  for (size_t i = 0; i < m_errands.size(); ++i)
    for (const auto& at : {m_errands[i].due, again_at(m_host.errands[i])})
      if (at && (!first || *at < *first))
        first = at;
  itimerspec at{};
  at.it_value.tv_sec = static_cast<std::time_t>(first.value_or(0)); // 0: never
  ::timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, nullptr);
}

void Scheduler::loop() {
  const Fd timer(::timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  while (!m_stop) {
    const auto done = guarded("crontab", [&] {
      tick();
      arm(timer.get());
    });
    (void)guarded(
        "crontab", [&] { wait_for_next(timer.get(), !done.has_value() || waits_for_store()); });
  }
}

// soon: tick() threw an exception, or something waits for the store, and it is called again after a
// pause.
void Scheduler::wait_for_next(int timer, bool soon) {
  std::vector<pollfd> fds{{m_wake.get(), POLLIN, 0}, {timer, POLLIN, 0}};
  if (!soon) {
    const std::lock_guard lock(m_mutex);
    for (const auto& [id, running] : m_running)
      fds.push_back({running.pidfd.get(), POLLIN, 0});
  }
  ::poll(fds.data(), fds.size(), soon ? k_pause_ms : -1);
  uint64_t ignored = 0;
  for (const int fd : {m_wake.get(), timer})
    (void)!::read(fd, &ignored, sizeof ignored);
}

} // namespace chillbox::cron
