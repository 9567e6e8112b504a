// How a run begins, and how an operator ends one.
#include "cron/scheduler.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "control/run_stream.hpp"
#include "os/io.hpp"
#include "os/secret_mask.hpp"
#include "os/socket.hpp"

namespace chillbox::cron {

// The row is there before the claim, so that a host that dies in between does not forget that it
// may have it: the run is lost then, and nobody runs it again.
void Scheduler::claim(const SiteName& site, const CronEntry& entry, int64_t at) {
  store::CronRun run{.site = site, .line = entry.line, .started_ms = m_host.clock.wall_ms()};
  {
    const std::lock_guard lock(m_mutex);
    const auto id = [&]() -> Result<uint64_t> {
      run.release = TRY(ready(site, entry)).release;
      return m_host.store.begin_cron_run(run);
    }();
    if (!id)
      return skip(site, entry, id.error());
    run.id = *id;
    m_running.emplace(run.id, Running{.site = site}).first->second.command = entry.command;
  }
  const auto claim = m_host.claim(site, entry.line, at);
  if (claim && claim->won) {
    start_claimed(run, entry, *claim);
  } else {
    {
      const std::lock_guard lock(m_mutex);
      m_running.erase(run.id);
      (void)write(run.id, [this, id = run.id] { return m_host.store.forget_cron_run(id); });
    }
    if (!claim)
      skip(site, entry, {Code::failure, cat("missed: ", claim.error().message)});
  }
  wake(); // the thread must wait for its end
  m_host.changed();
}

// A claim may take a while, in which the site was stopped, or went to another release.
void Scheduler::start_claimed(store::CronRun& run, const CronEntry& entry, const Claim& claim) {
  const std::lock_guard lock(m_mutex);
  m_running.erase(run.id); // it is not in its own way
  auto spec = ready(run.site, entry);
  if (spec && spec->release != run.release)
    spec = fail(Code::conflict, cat("release ", spec->release, " went live"));
  if (spec) {
    spec->env.emplace_back("CHILLBOX_RUN", claim.run);
    spec->env.emplace_back("CHILLBOX_FENCE", std::to_string(claim.fence));
    (void)start_task(run, *spec, entry.command, std::nullopt);
    return;
  }
  run.state = store::CronState::lost;
  run.ended_ms = m_host.clock.wall_ms();
  run.text = cat("it did not begin after this host had claimed it: ", spec.error().message);
  (void)write(run.id, [this, run] { return m_host.store.end_cron_run(run); });
  log::warn(
      cat("site '", run.site.str(), "': crontab: '", printable(run.line, 80), "' ", run.text));
}

Result<uint64_t> Scheduler::run_now(
    const SiteName& site, uint64_t number, const std::string& actor) {
  const auto all = TRY(entries(site));
  if (all.empty())
    return fail(Code::not_found, cat("site '", site.str(), "' has no crontab, or is stopped"));
  if (number < 1 || number > all.size())
    return fail(Code::not_found,
        cat("site '", site.str(), "' has no entry ", number, ": its entries are 1 to ",
            all.size()));
  const auto id = TRY(start(site, all[number - 1], actor));
  wake(); // the thread must wait for the end of this run too
  return id;
}

Result<openrc::SlotSpec> Scheduler::ready(const SiteName& site, const CronEntry& entry) {
  for (const auto& [id, running] : m_running)
    if (running.site == site && running.command == entry.command)
      return fail(Code::busy, cat("run ", id, " of this entry has not ended"));
  return m_host.prepare(site, {.line = entry.command});
}

Result<uint64_t> Scheduler::start(
    const SiteName& site, const CronEntry& entry, const std::string& actor) {
  const std::lock_guard lock(m_mutex);
  auto spec = TRY(ready(site, entry));
  store::CronRun run{.site = site,
      .release = spec.release,
      .line = entry.line,
      .actor = actor,
      .started_ms = m_host.clock.wall_ms()};
  return begin_run(std::move(run), std::move(spec), entry.command, std::nullopt);
}

Result<uint64_t> Scheduler::begin_run(store::CronRun run, openrc::SlotSpec spec,
    const std::string& command, const std::optional<RunOptions>& options) {
  run.id = TRY(m_host.store.begin_cron_run(run));
  TRY(start_task(run, spec, command, options));
  return run.id;
}

Result<void> Scheduler::start_task(store::CronRun& run, openrc::SlotSpec& spec,
    const std::string& command, const std::optional<RunOptions>& options) {
  spec.env.emplace_back(options ? "CHILLBOX_RUN" : "CHILLBOX_CRON_RUN", std::to_string(run.id));
  auto pidfd = m_tasks.start(run.id, spec, options);
  if (!pidfd) {
    (void)m_tasks.finish(run.id);
    run.state = store::CronState::failed;
    run.ended_ms = m_host.clock.wall_ms();
    run.text = pidfd.error().message;
    m_running.erase(run.id);
    (void)write(run.id, [this, run] { return m_host.store.end_cron_run(run); });
    return std::unexpected(pidfd.error());
  }
  auto& running = m_running.emplace(run.id, Running{.site = run.site}).first->second;
  running.command = command;
  running.pidfd = std::move(*pidfd);
  return {};
}

Result<store::CronRun> Scheduler::run(const Order& order) {
  constexpr size_t k_longest = 500;
  const std::lock_guard lock(m_mutex);
  auto spec = TRY(m_host.prepare(order.site, order.command));
  if (order.options.terminal)
    spec.env.emplace_back("TERM", order.term);
  const Mask mask = os::mask_of_set(m_host.paths.secrets_of(order.site));
  store::CronRun run{.site = order.site,
      .release = spec.release,
      .line = printable(mask.apply(join(order.command.words, " ")), k_longest),
      .actor = order.actor,
      .kind = control::RunKind::command,
      .service = order.command.service,
      .started_ms = m_host.clock.wall_ms()};
  run.id = TRY(begin_run(run, std::move(spec), "", order.options));
  wake(); // the thread must wait for its end
  m_host.changed();
  return run;
}

Result<void> Scheduler::stop_run(uint64_t id) {
  const auto run = TRY(m_host.store.cron_run(id));
  if (!run || run->kind != control::RunKind::command)
    return fail(Code::not_found, cat("no run ", id));
  if (run->ended_ms != 0)
    return fail(Code::conflict, cat("run ", id, " has ended"));
  const Fd task = TRY(os::connect_unix(socket(id), os::Millis{5'000}));
  std::string frame = control::run_frame(control::RunFrame::stop);
  return os::write_all(task.get(), bytes_of(frame), os::Deadline(os::Millis{5'000}));
}

} // namespace chillbox::cron
