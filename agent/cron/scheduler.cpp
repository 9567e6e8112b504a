#include "cron/scheduler.hpp"

#include "base/guarded.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "config/site.hpp"

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
    "its process was killed or the host went down: how it ended is not known";

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
  const uint64_t one = 1;
  (void)!::write(m_wake.get(), &one, sizeof one);
  m_thread.wait();
  if (m_begun) {
    (void)m_host.store.set_meta(k_left_off, std::to_string(m_host.clock.wall_ms()));
  }
  for (auto& [id, running] : m_running)
    running.child.leave();
}

void Scheduler::begin() {
  if (const auto left_off = m_host.store.meta(k_left_off); left_off && *left_off) {
    const int64_t now = m_host.clock.wall();
    const auto from = static_cast<int64_t>(parse_u64(**left_off).value_or(0)) / 1000;
    if (from <= now && now - from < k_resume_most)
      m_resumed = from;
    (void)m_host.store.set_meta(k_left_off, ""); // a kill -9 is no orderly stop
  }
  take_over();
  if (auto begun = m_thread.start("crontab", [this] { loop(); }); !begun)
    return log::error(
        cat("crontab: no entry is run until the next start: ", begun.error().message));
  m_begun = true;
}

void Scheduler::take_over() {
  const auto open = m_host.store.open_cron_runs();
  if (!open)
    return log::error(cat("crontab: ", open.error().message));
  const std::lock_guard lock(m_mutex);
  for (const auto& run : *open) {
    auto& running = m_running.emplace(run.id, Running{.site = run.site}).first->second;
    if (const auto read = config::parse_cron_line(run.line))
      running.command = read->command;
    if (auto pidfd = m_tasks.running(run.id))
      running.pidfd = std::move(*pidfd);
    else
      finish(run.id);
  }
  for (const uint64_t id : m_tasks.all()) // of a store that is gone
    if (!m_running.contains(id)) {
      (void)m_tasks.end(id);
      (void)m_tasks.finish(id);
    }
}

void Scheduler::refresh() {
  const uint64_t one = 1;
  if (m_host.store.sites_changed() != m_seen)
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
    entries.push_back({entries.size() + 1, line, std::move(parsed.command), std::move(next)});
  }
  return entries;
}

// An entry that both releases have keeps its moment, so that a switch in that very second loses
// none. What could not be read is tried again.
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
          cat("site '", row.site.str(), "': its crontab is not read: ", read.error().message));
      all = false;
    }
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

void Scheduler::run_due() {
  const int64_t offset = m_host.clock.wall_ms() - m_host.clock.mono().count();
  const int64_t clock_set = (offset - std::exchange(m_offset_ms, offset)) / 1000;
  const int64_t now = m_host.clock.wall();
  for (auto& [site, plan] : m_sites)
    for (auto& entry : plan.entries)
      if (take_due(entry.next, now, clock_set))
        due(site, entry);
}

void Scheduler::due(const SiteName& site, const CronEntry& entry) {
  const auto id = start(site, entry, "");
  if (id || id.error().code == Code::conflict ||
      id.error().code == Code::not_found) // stopped or removed meanwhile
    return;
  const int64_t now = m_host.clock.wall_ms();
  store::CronRun run{.site = site,
      .release = m_sites[site].release,
      .line = entry.line,
      .state = store::CronState::skipped,
      .started_ms = now,
      .ended_ms = now};
  run.text = id.error().message;
  (void)m_host.store.skip_cron_run(run);
  log::warn(cat("site '", site.str(), "': crontab: '", printable(entry.command, 80),
      "' is skipped: ", run.text));
  m_host.changed();
}

Result<uint64_t> Scheduler::run_now(
    const SiteName& site, uint64_t number, const std::string& actor) {
  const auto all = TRY(entries(site));
  if (all.empty())
    return fail(Code::not_found, cat("site '", site.str(), "' has no crontab, or is stopped"));
  if (number < 1 || number > all.size())
    return fail(Code::not_found,
        cat("no entry ", number, " of '", site.str(), "': they are 1 to ", all.size()));
  const auto id = TRY(start(site, all[number - 1], actor));
  const uint64_t one = 1;
  (void)!::write(m_wake.get(), &one, sizeof one); // its end is to be seen
  return id;
}

Result<uint64_t> Scheduler::start(
    const SiteName& site, const CronEntry& entry, const std::string& actor) {
  const std::lock_guard lock(m_mutex);
  for (const auto& [id, running] : m_running)
    if (running.site == site && running.command == entry.command)
      return fail(Code::busy, cat("run ", id, " of it has not ended"));
  auto spec = TRY(m_host.prepare(site, entry.command));
  store::CronRun run{.site = site,
      .release = spec.release,
      .line = entry.line,
      .actor = actor,
      .started_ms = m_host.clock.wall_ms()};
  run.id = TRY(m_host.store.begin_cron_run(run));
  spec.env.emplace_back("CHILLBOX_CRON_RUN", std::to_string(run.id));
  auto child = m_tasks.start(run.id, spec);
  if (!child) {
    (void)m_tasks.finish(run.id);
    run.state = store::CronState::failed;
    run.ended_ms = m_host.clock.wall_ms();
    run.text = child.error().message;
    TRY(m_host.store.end_cron_run(run));
    return std::unexpected(child.error());
  }
  auto& running = m_running.emplace(run.id, Running{.site = site}).first->second;
  running.command = entry.command;
  running.child = std::move(*child);
  return run.id;
}

void Scheduler::collect() {
  const std::lock_guard lock(m_mutex);
  std::vector<uint64_t> ended;
  for (const auto& [id, running] : m_running)
    if (readable(running.fd()))
      ended.push_back(id);
  for (const uint64_t id : ended)
    finish(id);
}

// With m_mutex held.
void Scheduler::finish(uint64_t id) {
  auto found = m_running.extract(id);
  if (found && found.mapped().child.running())
    (void)found.mapped().child.wait(os::Millis{0});
  else if (found &&
      found.mapped().pidfd) // a child still, when this program replaced another (upgrade)
    reap_task(found.mapped().pidfd);
  const auto end = m_tasks.finish(id);
  auto run = m_host.store.cron_run(id);
  if (!run || !*run)
    return; // of a site that was removed
  auto& row = **run;
  const bool known = end && *end;
  row.state = !known      ? store::CronState::lost
      : (*end)->code == 0 ? store::CronState::done
                          : store::CronState::failed;
  row.ended_ms = known ? (*end)->ended_ms : m_host.clock.wall_ms();
  row.text = known ? (*end)->text : end ? std::string(k_lost) : end.error().message;
  if (known)
    row.code = (*end)->code;
  if (auto written = m_host.store.end_cron_run(row); !written)
    log::error(cat("crontab: run ", id, ": ", written.error().message));
  if (row.state != store::CronState::done)
    log::warn(cat("site '", row.site.str(), "': crontab: '", printable(row.line, 80), "' ",
        known ? cat("ended with code ", *row.code) : printable(row.text)));
  m_host.changed();
}

void Scheduler::tick() {
  read_sites();
  run_due();
  collect();
  m_resumed.reset();
}

// The timer fires when the clock is set too, and at no other time.
void Scheduler::arm(int timer) {
  std::optional<int64_t> first;
  for (const auto& [site, plan] : m_sites)
    for (const auto& entry : plan.entries)
      if (entry.next.due && (!first || *entry.next.due < *first))
        first = entry.next.due;
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
    (void)guarded("crontab", [&] { wait_for_next(timer.get(), !done.has_value()); });
  }
}

// soon: the last look ended by an exception, and is repeated after a while.
void Scheduler::wait_for_next(int timer, bool soon) {
  std::vector<pollfd> fds{{m_wake.get(), POLLIN, 0}, {timer, POLLIN, 0}};
  if (!soon) {
    const std::lock_guard lock(m_mutex);
    for (const auto& [id, running] : m_running)
      fds.push_back({running.fd(), POLLIN, 0});
  }
  ::poll(fds.data(), fds.size(), soon ? k_pause_ms : -1);
  uint64_t ignored = 0;
  for (const int fd : {m_wake.get(), timer})
    (void)!::read(fd, &ignored, sizeof ignored);
}

} // namespace chillbox::cron
