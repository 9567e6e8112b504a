#include "daemon/monitor.hpp"

#include "base/guarded.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "config/metrics.hpp"
#include "daemon/metrics.hpp"
#include "daemon/people.hpp"
#include "daemon/startup.hpp"
#include "nginx/counts.hpp"
#include "nginx/status_page.hpp"
#include "openrc/restart_news.hpp"
#include "os/process.hpp"
#include "os/roles.hpp"
#include "os/root_owned.hpp"
#include "os/socket.hpp"
#include "rollout/claims.hpp"
#include "rollout/roster.hpp"
#include "rollout/site_command.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace chillbox::daemon {
namespace {

constexpr os::Millis k_breath{100}; // after an event that failed and has not gone away
constexpr std::chrono::milliseconds k_refusal_hold{3}; // longer than any webhook is looked at

// Negative: not at all.
os::Millis sooner(os::Millis a, os::Millis b) {
  return a.count() < 0 ? b : b.count() < 0 ? a : std::min(a, b);
}

CertificateRequests requests_of(tls::Certificates& all) {
  return {.all = [&all] { return all.all(); },
      .check = [&all](const std::string& site) { return all.check(site); },
      .renew = [&all](const std::string& site, bool staging) { return all.renew(site, staging); },
      .revoke = [&all](const std::string& site) { return all.revoke(site); },
      .account = [&all] { return all.account(); },
      .unlocked = [&all] { all.unlocked(); }};
}

backup::PutBack put_back_of(backup::Backups& all) {
  return [&all](const control::Backup& backup, const std::string& tree, const os::User& owner) {
    return all.put_back(backup, tree, owner);
  };
}

BackupRequests requests_of(backup::Backups& all) {
  return {.create = [&all](const SiteName& site) { return all.create(site); },
      .verify = [&all](const SiteName& site) { return all.verify(site); },
      .states = [&all] { return all.states(); },
      .list = [&all](const std::optional<SiteName>& site) { return all.list(site); },
      .unlocked = [&all] { all.unlocked(); },
      .find = [&all](const SiteName& site,
                  std::optional<uint64_t> serial) { return all.find(site, serial); },
      .put_back = put_back_of(all),
      .open = [&all](const control::Backup& backup) { return all.open(backup); },
      .take_in =
          [&all](const backup::Backups::Carried& said, const backup::Backups::Receive& receive) {
            return all.take_in(said, receive);
          }};
}

RolloutRequests requests_of(Rollouts& all) {
  return {.take = [&all](const SiteName& site,
                      const std::string& text) { return all.take(site, text); },
      .all = [&all](const Rollouts::Wanted& wanted) { return all.all(wanted); },
      .stop = [&all](const SiteName& site,
                  const control::RolloutStop& stop) { return all.stop_site(site, stop); },
      .resume = [&all](const SiteName& site) { return all.resume(site); },
      .has_engine = [&all] { return all.has_engine(); }};
}

} // namespace

Monitor::Monitor(
    os::Paths paths, config::HostConfig config, store::Store store, std::string program)
    : m_program(std::move(program)), m_store(std::move(store)),
      m_vault(service_user(os::k_vault_user)),
      m_nginx(os::real_disk(), os::real_runner(), os::real_clock(), paths, config),
      m_slots(os::real_disk(), os::real_runner(), os::real_clock(), paths),
      m_host{os::real_disk(), os::real_runner(), os::real_clock(), paths, std::move(config),
          m_store, m_vault, m_nginx, m_slots, is_real_host(paths),
          [this](const std::string&) { changed(); }},
      m_notifier(notifier_host()), m_fleet(fleet_engine()),
      m_crontab({m_store, m_host.disk, m_host.clock, m_host.paths,
          [this](const SiteName& site, const cron::SiteCommand& command) {
            return rollout::site_command(m_host, site, command);
          },
          [this] {
            m_changes.notify();
            m_notifier.refresh();
          },
          errands(),
          [this](const std::string& run_on) { return rollout::runs_elsewhere(m_host, run_on); },
          [this](const SiteName& site, const std::string& line, int64_t due) {
            return claim(site, line, due);
          }}),
      m_certificates({m_store, m_host.disk, m_host.runner, m_host.clock, m_host.paths,
          m_host.config, m_host.as_root, tls_parts()}),
      m_backups({m_store, m_host.disk, m_host.runner, m_host.clock, m_host.paths,
          backup::read_settings(m_host.disk, m_host.paths),
          backup::name_of_host(m_host.config.server_name), m_host.as_root,
          [this](const SiteName& site, const std::string& line) {
            return rollout::site_command(m_host, site, {.line = line});
          },
          [this](std::string_view header) { return m_vault.file_key(header); },
          [this](int64_t after) {
            return m_backup_when ? cron::next_due(*m_backup_when, after) : std::nullopt;
          },
          [this] {
            m_changes.notify();
            m_crontab.look();
            m_notifier.refresh(true);
          }}),
      m_engine(m_host), m_rollouts(m_host, m_engine, [this] { m_changes.notify(); }),
      m_edge(m_host.clock, m_host.config.artifact_max), m_facts(m_host, m_known, fact_sources()),
      m_hours(m_host, m_facts), m_status_pages(m_host, m_facts),
      m_control_server(m_host, m_engine, m_crontab, m_changes, m_known,
          {.reload = [this] { return reload(); },
              .upgrade = [this] { return upgrade(); },
              .traffic = [this] { return traffic(); },
              .refused_webhooks = [this] { return m_intake->refused().webhooks; },
              .refused_uploads = [this] { return m_intake->refused().uploads; },
              .certificates = requests_of(m_certificates),
              .backups = requests_of(m_backups),
              .notices = notice_requests(),
              .rollouts = requests_of(m_rollouts),
              .facts = [this] { return m_facts.facts(); },
              .series_max = [this] { return m_series_max; },
              .hours = [this] { return m_hours.week(); }}),
      m_logs(m_host, [this] { keep_hours(m_hours.look()); }), m_site_notices(m_host) {
  m_host.fleet = m_fleet.get();
  m_host.backups = {.find = [this](const SiteName& site,
                                const std::string& sha256) { return m_backups.find(site, sha256); },
      .put_back = put_back_of(m_backups)};
}

std::unique_ptr<FleetEngine> Monitor::fleet_engine() {
  auto settings = read_fleet_settings(m_host.disk, m_host.paths);
  if (!settings.on())
    return nullptr;
  return std::make_unique<FleetEngine>(FleetEngine::Host{
      m_host.disk, m_host.clock, m_host.paths, std::move(settings), m_host.as_root, [this] {
        m_changes.notify();
        m_notifier.refresh(true);
      }});
}

Result<cron::Claim> Monitor::claim(const SiteName& site, const std::string& line, int64_t due) {
  auto claim = rollout::claim_run(m_host, site, line, due);
  if (!claim && claim.error().code == Code::unreachable && m_fleet)
    m_fleet->missed();
  return claim;
}

// Where no target is configured nothing has a time.
std::vector<cron::Errand> Monitor::errands() {
  const auto settings = backup::read_settings(m_host.disk, m_host.paths);
  if (settings.target.empty() || settings.schedule.empty())
    return {};
  auto line = config::parse_cron_line(settings.schedule + " backup");
  if (!line)
    return {};
  m_backup_when = line->when;
  return {{.when = line->when,
      .run = [this] { m_backups.run_all(); },
      .again_at = [this] { return m_backups.retry_at(); },
      .again = [this] { m_backups.retry(); }}};
}

Result<void> Monitor::start(Inherited inherited) {
  const auto& paths = m_host.paths;
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&set, number);
  m_signals = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (inherited.vault.socket)
    if (auto taken = m_vault.take(std::move(inherited.vault)); !taken)
      m_control_server.warn(cat("the vault did not survive the upgrade: the host is locked (",
          taken.error().message, ")"));
  const auto group = os::find_group(std::string(os::k_admin_group));
  m_control = std::move(inherited.control);
  if (!m_control)
    m_control = TRY(os::listen_unix(
        paths.control_socket(), 0660, {::geteuid(), group.value_or(::getegid())}, 64));
  TRY(listen_to_people(std::move(inherited.people)));
  m_hook = std::move(inherited.hook);
  if (!m_hook)
    m_hook = TRY(listen_for_edge(m_host.config, paths, m_nginx));
  auto secret = TRY(m_store.host_secret());
  auto senders = TRY(load_senders(paths.webhooks()));
  m_intake = std::make_unique<WebhookIntake>(
      m_host, m_engine, std::move(secret), std::move(senders), k_refusal_hold);
  open_metrics();
  TRY(start_edge());
  m_certificates.repair(); // before NGINX reads them
  if (auto host = serve_host(); !host) {
    log::warn(cat("nginx: ", host.error().message));
    m_control_server.warn(cat("nginx: ", host.error().message));
  }
  m_control_server.record_keys("chillboxd, at its start");
  if (const auto hooks = os::check_root_owned(paths.etc(), "hooks.d");
      !hooks && hooks.error().code == Code::denied) {
    log::warn(cat("hooks: ", hooks.error().message));
    m_control_server.warn(
        cat("hooks: ", hooks.error().message, ": what needs it is refused until then"));
  }
  m_restarts = TRY(openrc::listen_for_restarts(paths));
  TRY(m_site_notices.listen());
  if (m_fleet)
    TRY(m_fleet->begin());
  m_engine.recover();
  m_backups.begin(); // first: the crontab's thread starts what is due
  m_crontab.begin();
  m_certificates.begin();
  m_rollouts.begin(m_host.fleet);
  if (auto told = m_notifier.reload(); !told) {
    log::error(told.error().message);
    m_control_server.warn(told.error().message);
  }
  check_store();
  return {};
}

// A host that has no such account yet, whose package is older, has no people.
Result<void> Monitor::listen_to_people(Fd inherited) {
  const auto& paths = m_host.paths;
  const auto group = os::find_group(std::string(os::k_ssh_user));
  m_people = std::move(inherited);
  if (!group && !paths.testing()) {
    log::info(cat("people: ", group.error().message, ": `chillboxctl init` makes it"));
    return {};
  }
  if (!m_people)
    m_people = TRY(os::listen_unix(
        paths.people_socket(), 0660, {::geteuid(), group.value_or(::getegid())}, 64));
  std::vector<Error> faults;
  (void)load_people(paths, &faults);
  for (const auto& fault : faults)
    m_control_server.warn(cat("people: ", fault.message, ": who that is may nothing until then"));
  if (const auto written = write_authorized_keys(paths); !written)
    m_control_server.warn(cat("people: ", written.error().message));
  return {};
}

// Of a damaged one the next program is the cure: it moves it aside and rebuilds it (RECOVERY.md),
// and takes over an unlocked vault.
void Monitor::check_store() {
  const std::string path = m_host.paths.database();
  if (!store::Store::is_checked_later(path))
    return;
  const auto look = [this, path] {
    const auto sound = store::Store::check_later(path, m_stop_checks);
    if (sound)
      return;
    log::error(sound.error().message);
    if (sound.error().code != Code::corrupt)
      return;
    if (const auto asked = upgrade(); !asked)
      m_control_server.warn(cat(
          sound.error().message, "; chillboxd was not restarted for it: ", asked.error().message));
  };
  if (auto begun = m_checks.start("check the database", look); !begun)
    log::warn(cat("the database is not checked: ", begun.error().message));
}

void Monitor::changed() {
  m_changes.notify();
  m_rollouts.look();
  m_crontab.refresh();
  m_certificates.refresh();
  m_notifier.refresh();
}

Result<void> Monitor::serve_host() {
  if (m_host.paths.testing() && m_host.config.nginx_dir.empty())
    return {}; // a test that names no directory of its own must not find this machine's
  os::sweep_temporaries(TRY(m_nginx.directory()), "chillbox.");
  nginx::counts(m_host.paths).begin();
  m_nginx.set_fleet(rollout::traffic_of(m_host));
  const bool host_changed = TRY(m_nginx.install_host());
  bool changed = host_changed;
  for (const auto& row : TRY(m_store.sites())) { // after a boot
    const auto text = TRY(m_nginx.installed(row.site));
    changed =
        TRY(nginx::begin_counts(m_host.disk, m_host.paths, m_nginx, row.site, text)) || changed;
    TRY(nginx::keep_status_page(m_host.disk, m_host.paths, row.site, text));
  }
  m_status_pages.happened();
  const auto loaded = changed ? m_nginx.reload() : Result<void>{};
  const bool will_load = !loaded && !host_changed && loaded.error().code == Code::unreachable;
  return will_load ? Result<void>{} : loaded; // when it starts
}

Result<void> Monitor::start_edge() {
  m_intake->attach(TRY(m_edge.start(m_hook.get())));
  return {};
}

void Monitor::edge_ended() {
  const int code = m_edge.reap();
  log::error(cat("the edge ended with ", os::end_text(code), ": it is started again"));
  if (code == 128 + SIGSYS) // somebody got in
    m_control_server.warn(
        "the edge made a forbidden system call and was started again: see the log, and find out who sends what");
  m_intake->attach(Fd());
}

void Monitor::start_edge_if_due() {
  if (m_leaving || !m_edge.is_due())
    return;
  if (auto started = guarded("start the edge", [this] { return start_edge(); }); !started) {
    m_edge.start_later();
    log::error(cat("the edge does not start, the next try is in ", m_edge.pause().count() / 1000,
        " s: ", started.error().message));
  }
}

void Monitor::vault_ended() {
  if (m_vault.unsealed() || m_control_server.locked())
    return;
  const std::string end = m_vault.last_end();
  const std::string what =
      cat("the vault ended unexpectedly", end.empty() ? "" : " with ", end, ": the host is locked");
  log::error(cat(what, ", `chillboxctl unlock` opens it again"));
  m_control_server.warn(what);
  (void)store::Notices(m_store).raise({.event = "vault.died",
      .site = {},
      .subject = {},
      .text = what,
      .time_ms = m_host.clock.wall_ms()});
  m_notifier.refresh(true);
  m_status_pages.happened();
}

bool Monitor::signalled() {
  signalfd_siginfo info{};
  while (::read(m_signals.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGHUP)
      return false;
    if (auto read = read_again(); !read)
      log::error(cat("reload: ", read.error().message));
    m_control_server.record_keys("chillboxd, at SIGHUP");
  }
  return true;
}

int Monitor::timeout() {
  const os::Millis now = m_host.clock.mono();
  os::Millis wait = m_poll_wait;
  for (const auto& deadline : {m_drain_until, m_drain_until ? std::nullopt : m_hang_up,
           m_leaving ? std::nullopt : m_edge.due(), m_engine.next_deadline(), m_status_pages.due(),
           m_control_server.trim_due()})
    if (deadline)
      wait = sooner(wait, std::max(os::Millis{0}, *deadline - now));
  return static_cast<int>(std::min<int64_t>(wait.count(), 3'600'000));
}

void Monitor::clear_changes() {
  m_changes.clear();
  m_rollouts.look();
  m_status_pages.happened();
  reload_asked();
}

void Monitor::accept_from(const Fd& listener, Door door) {
  if (auto connection = os::accept(listener.get()))
    m_control_server.take(std::move(*connection), door);
  else if (connection.error().code ==
      Code::throttled) // no descriptor is left, and it is still in the queue
    m_host.clock.sleep(k_breath);
}

// An exception is an error of this one event. Nothing that happens ends the loop but a signal, or a
// program that takes over.
template <class F> void Monitor::handle(bool there, std::string_view what, F&& handler) {
  if (there && !guarded(what, handler))
    m_hurt = true;
}

// One wait, and all that came of it.
std::optional<Monitor::End> Monitor::turn() {
  std::array<pollfd, 11> fds{pollfd{m_signals.get(), POLLIN, 0},
      pollfd{m_leaving ? -1 : m_control.get(), POLLIN, 0}, pollfd{m_intake->fd(), POLLIN, 0},
      pollfd{m_edge.pidfd(), POLLIN, 0}, pollfd{m_changes.fd(), POLLIN, 0},
      pollfd{m_vault.pidfd(), POLLIN, 0}, pollfd{m_intake->refusal_timer(), POLLIN, 0},
      pollfd{m_logs.fd(), POLLIN, 0}, pollfd{m_leaving ? -1 : m_people.get(), POLLIN, 0},
      pollfd{m_restarts.get(), POLLIN, 0}, pollfd{m_site_notices.fd(), POLLIN, 0}};
  const int ready = ::poll(fds.data(), fds.size(), timeout());
  m_hurt = ready < 0 && errno != EINTR; // no memory: not at once again
  const auto came = [&](size_t i) { return fds[i].revents != 0; };
  bool stop = false, edge_open = true, may_go = false;
  handle(ready == 0, "jobs that wait", [this] { m_engine.expire(); });
  handle(came(0), "signals", [&] { stop = !signalled(); });
  if (stop)
    return End::stop;
  handle(came(4), "changes", [this] { clear_changes(); });
  handle(m_upgrading && !m_leaving, "upgrade", [this] { leave(); });
  handle(came(1) && !m_leaving, "the control socket",
      [this] { accept_from(m_control, Door::operators); });
  handle(came(8) && !m_leaving, "the people's socket",
      [this] { accept_from(m_people, Door::people); });
  handle(came(2), "the edge", [&] { edge_open = m_intake->serve(); });
  handle(came(6), "refusals", [this] { m_intake->refuse_due(); });
  const bool edge_gone = !edge_open || came(3);
  handle(m_leaving, "upgrade",
      [&] { may_go = may_leave() || (m_drain_until && (edge_gone || !m_edge.running())); });
  if (may_go)
    return End::upgrade;
  handle(edge_gone, "the edge's end", [this] { edge_ended(); });
  handle(true, "the edge's start", [this] { start_edge_if_due(); });
  handle(came(5), "the vault's end", [this] { vault_ended(); });
  handle(came(9), "services that were started again", [this] { services_restarted(); });
  handle(came(10), "notices of sites", [this] {
    m_site_notices.serve();
    m_notifier.refresh();
  });
  handle(true, "status pages", [this] { m_status_pages.look_if_due(); });
  handle(true, "memory", [this] { m_control_server.trim_if_due(); });
  handle(came(7), "logs", [this] { m_logs.written(); });
  handle(true, "what is waited for",
      [this] { m_poll_wait = sooner(m_intake->answer_waiting(), m_logs.look_if_due()); });
  return std::nullopt;
}

Monitor::End Monitor::loop() {
  log::info(cat("chillboxd ", CHILLBOX_VERSION, " is ready, the host is ",
      m_vault.unsealed() ? "unlocked" : "locked"));
  for (;;) {
    const auto end = guarded("the main loop", [this] { return turn(); });
    if (end && *end) {
      keep_hours(m_hours.write());
      return **end;
    }
    if (!end || std::exchange(m_hurt, false))
      m_host.clock.sleep(k_breath);
  }
}

} // namespace chillbox::daemon
