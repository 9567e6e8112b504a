// What is read again while it runs, and how another program takes over.
#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/monitor.hpp"
#include "daemon/startup.hpp"
#include "rollout/roster.hpp"

namespace chillbox::daemon {
namespace {

constexpr os::Millis k_hang_up{5'000}; // for operators who do not leave at an upgrade
constexpr os::Millis k_reload_wait{10'000};
constexpr os::Millis k_drain_limit{5'000}; // for the requests that are under way at an upgrade; an
                                           // upload that is cut off can be repeated

} // namespace

// The senders first: a key that was removed opens nothing from here on. Each is read whatever is
// wrong with the others; the first error is the answer.
Result<void> Monitor::read_again() {
  auto files = read_senders(m_host.paths.webhooks());
  m_intake->set_senders(std::move(files.senders));
  for (const auto& fault : files.faults)
    log::error(cat("reload: ", fault.message, ": its sender is refused"));
  const auto told = m_notifier.reload();
  const auto served = traffic(); // the roster's signer may not be trusted any more
  if (!files.faults.empty())
    return fail(Code::invalid,
        cat(files.faults.front().message,
            ": its sender is refused until this is fixed; the other keys are read as they are"));
  TRY(told);
  TRY(served);
  const auto config = check_configuration(m_host.paths);
  return config ? Result<void>{}
                : fail(config.error().code,
                      cat("the webhook keys are read as they are; ", config.error().message));
}

// One at a time: of two rosters the newer one is served.
Result<void> Monitor::traffic() {
  const std::lock_guard lock(m_traffic_mutex);
  m_rollouts.trust();
  if (m_host.paths.testing() && m_host.config.nginx_dir.empty())
    return {};
  TRY(m_nginx.install_fleet(rollout::traffic_of(m_host)));
  m_certificates.fleet_changed();
  return {};
}

// It is answered when the keys hold: who removed one must not see it used afterwards.
Result<void> Monitor::reload() {
  std::unique_lock lock(m_reload_mutex);
  const uint64_t mine = ++m_reloads_asked;
  m_changes.notify();
  if (!m_reloaded.wait_for(lock, k_reload_wait, [&] { return m_reloads_done >= mine; }))
    return fail(Code::busy,
        "the keys are not read yet, chillboxd is busy: `chillboxctl reload` again, until it succeeds");
  return m_reload_outcome;
}

void Monitor::reload_asked() {
  uint64_t asked = 0;
  {
    const std::lock_guard lock(m_reload_mutex);
    asked = m_reloads_asked;
    if (asked == m_reloads_done)
      return;
  }
  auto outcome = read_again();
  const std::lock_guard lock(m_reload_mutex);
  m_reloads_done = asked;
  m_reload_outcome = std::move(outcome);
  m_reloaded.notify_all();
}

// What can be known to fail is found before anything is given up.
Result<void> Monitor::upgrade() {
  TRY_IN("this program keeps running", try_program(m_host.paths, m_program));
  m_upgrading = true;
  m_changes.notify(); // before the answer: who connects after it waits for the new program
  return {};
}

void Monitor::leave() {
  log::info(cat("upgrade: ", m_program, " takes over"));
  m_leaving = m_stop_checks = true;
  m_hang_up = m_host.clock.mono() + k_hang_up;
  m_control_server.stop();
  m_certificates.ask_to_stop();
  m_backups.ask_to_stop();
  m_rollouts.ask_to_stop();
}

// In this order: an unlock that is under way still needs the jobs, and a request that the edge has
// still needs its answer from here.
bool Monitor::may_leave() {
  if (!m_drain_until) {
    if (m_hang_up && m_host.clock.mono() >= *m_hang_up) {
      m_control_server.hang_up();
      m_hang_up.reset();
    }
    if (!m_control_server.idle() || !m_engine.ask_to_stop() || !m_rollouts.idle())
      return false;
    m_intake->drain();
    m_drain_until = m_host.clock.mono() + k_drain_limit;
  }
  return m_host.clock.mono() >= *m_drain_until;
}

} // namespace chillbox::daemon
