#include "daemon/monitor.hpp"

#include "artifact/verify.hpp"
#include "base/guarded.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "cron/scheduler.hpp"
#include "daemon/change_notifier.hpp"
#include "daemon/control_server.hpp"
#include "daemon/log_rotation.hpp"
#include "daemon/reexec.hpp"
#include "daemon/startup.hpp"
#include "daemon/webhook_intake.hpp"
#include "openrc/cgroup.hpp"
#include "openrc/restarts.hpp"
#include "os/control_group.hpp"
#include "os/memory.hpp"
#include "os/process.hpp"
#include "os/roles.hpp"
#include "os/root_owned.hpp"
#include "os/sandbox.hpp"
#include "os/socket.hpp"
#include "rollout/site_command.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>

namespace chillbox::daemon {
namespace {

constexpr int k_ex_config = 78;
constexpr os::Millis k_edge_life{1'000}; // an edge that lived so long is started again at once
constexpr os::Millis k_edge_pause{
    1'000}; // else, and when it could not be started: 1, 2, 4 ... 60 s
constexpr os::Millis k_edge_pause_most{60'000};
constexpr os::Millis k_hang_up{5'000}; // operators who do not leave at an upgrade
constexpr os::Millis k_breath{100};    // behind what failed and is there still
constexpr os::Millis k_reload_wait{10'000};
constexpr os::Millis k_drain_limit{5'000}; // for the requests that are under way at an upgrade; an
                                           // upload that is cut off can be repeated
constexpr std::chrono::milliseconds k_refusal_hold{3}; // longer than any webhook is looked at

// Negative: not at all.
os::Millis sooner(os::Millis a, os::Millis b) {
  return a.count() < 0 ? b : b.count() < 0 ? a : std::min(a, b);
}

class Monitor {
public:
  Monitor(os::Paths paths, config::HostConfig config, store::Store store, std::string program)
      : m_program(std::move(program)), m_store(std::move(store)),
        m_vault(service_user(os::k_vault_user)),
        m_nginx(os::real_disk(), os::real_runner(), os::real_clock(), paths, config),
        m_slots(os::real_disk(), os::real_runner(), os::real_clock(), paths),
        m_host{os::real_disk(), os::real_runner(), os::real_clock(), paths, std::move(config),
            m_store, m_vault, m_nginx, m_slots, is_real_host(paths),
            [this](const std::string&) { changed(); }},
        m_crontab({m_store, m_host.disk, m_host.clock, m_host.paths,
            [this](const SiteName& site, const std::string& command) {
              return rollout::site_command(m_host, site, command);
            },
            [this] { m_changes.notify(); }}),
        m_engine(m_host),
        m_control_server(m_host, m_engine, m_crontab, m_changes,
            {.reload = [this] { return reload(); },
                .upgrade = [this] { return upgrade(); },
                .refused_webhooks = [this] { return m_intake->refused().webhooks; },
                .refused_uploads = [this] { return m_intake->refused().uploads; }}),
        m_logs(m_host) {}

  Result<void> start(Inherited inherited);
  void warn(std::string text) { m_control_server.warn(std::move(text)); }
  enum class End { stop, upgrade };
  End loop();
  void not_upgraded(const std::string& why) { m_control_server.not_upgraded(why); }
  Inherited hand_over() { return {std::move(m_control), std::move(m_hook), m_vault.hand_over()}; }

private:
  Result<void> start_edge();
  Result<void> serve_host(); // NGINX passes /v1/ to the edge
  Result<void> reload();     // by a control thread: what the loop found
  Result<void> read_again(); // by the loop
  void reload_asked();
  void changed(); // by a job
  void edge_ended();
  void start_edge_later();
  void start_edge_if_due();
  void vault_ended();
  std::optional<End> turn();
  void clear_changes();
  void accept_operator();
  template <class F> void handle(bool there, std::string_view what, F&& handler);
  int timeout();
  bool signalled();       // false: stop
  Result<void> upgrade(); // by a control thread: the loop leaves soon, or the new program is
                          // refused
  void leave();
  bool may_leave(); // nothing is under way any more

  std::string m_program;
  store::Store m_store;
  secrets::Vault m_vault;
  nginx::Nginx m_nginx;
  openrc::Slots m_slots;
  ChangeNotifier m_changes;
  rollout::HostContext m_host;
  cron::Scheduler m_crontab;
  rollout::Engine m_engine; // behind it, because its jobs tell the crontab
  ControlServer m_control_server;
  LogRotation m_logs;
  std::unique_ptr<WebhookIntake> m_intake;
  std::mutex m_reload_mutex;
  std::condition_variable m_reloaded;
  uint64_t m_reloads_asked = 0, m_reloads_done = 0;
  Result<void> m_reload_outcome; // of the newest
  Fd m_signals, m_control, m_hook;
  os::Child m_edge;
  os::Millis m_edge_started{0};
  os::Millis m_edge_pause{0};           // before the next start
  std::optional<os::Millis> m_edge_due; // there is no edge: when it is tried again
  std::optional<os::Millis> m_hang_up;  // at an upgrade
  os::Millis m_poll_wait{0};            // at once: logs may have grown meanwhile
  bool m_hurt = false;                  // a handler of this turn threw
  std::atomic<bool> m_upgrading{false};
  bool m_leaving = false;
  std::optional<os::Millis> m_drain_until;
};

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
  m_hook = std::move(inherited.hook);
  if (!m_hook)
    m_hook = TRY(listen_for_edge(m_host.config, paths, m_nginx));
  auto secret = TRY(m_store.host_secret());
  auto senders = TRY(load_senders(paths.webhooks()));
  m_intake = std::make_unique<WebhookIntake>(
      m_host, m_engine, std::move(secret), std::move(senders), k_refusal_hold);
  TRY(start_edge());
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
  m_engine.recover();
  m_crontab.begin();
  return {};
}

void Monitor::changed() {
  m_changes.notify();
  m_crontab.refresh();
}

Result<void> Monitor::serve_host() {
  if (m_host.paths.testing() && m_host.config.nginx_dir.empty())
    return {}; // a test that names no directory of its own must not find this machine's
  os::sweep_temporaries(TRY(m_nginx.directory()), "chillbox.");
  return TRY(m_nginx.install_host()) ? m_nginx.reload() : Result<void>{};
}

Result<void> Monitor::start_edge() {
  auto [ours, theirs] = TRY(os::packet_pair());
  os::RoleCommand command = os::role_command(
      os::k_edge_role, {service_user(os::k_edge_user), std::to_string(m_host.config.artifact_max)});
  command.fds = {{theirs.get(), 3}, {m_hook.get(), 4}};
  m_edge_started = m_host.clock.mono();
  m_edge = TRY(os::Child::start(command));
  m_intake->attach(std::move(ours));
  return {};
}

void Monitor::edge_ended() {
  const auto code = m_edge.wait(os::Millis{1'000});
  log::error(cat("the edge ended with ", os::end_text(code.value_or(-1)), ": it is started again"));
  if (code.value_or(-1) == 128 + SIGSYS) // somebody got in
    m_control_server.warn(
        "the edge made a forbidden system call and was started again: see the log, and find out who sends what");
  m_edge = os::Child(); // also one that lives, but takes no answers
  m_intake->attach(Fd());
  if (m_host.clock.mono() - m_edge_started < k_edge_life)
    return start_edge_later();
  m_edge_pause = os::Millis{0};
  m_edge_due = m_host.clock.mono();
}

void Monitor::start_edge_later() {
  m_edge_pause = std::clamp(2 * m_edge_pause, k_edge_pause, k_edge_pause_most);
  m_edge_due = m_host.clock.mono() + m_edge_pause;
}

void Monitor::start_edge_if_due() {
  if (!m_edge_due || m_leaving || m_host.clock.mono() < *m_edge_due)
    return;
  m_edge_due.reset();
  if (auto started = guarded("start the edge", [this] { return start_edge(); }); !started) {
    start_edge_later();
    log::error(cat("the edge does not start, the next try is in ", m_edge_pause.count() / 1000,
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
}

// The senders first: a key that was removed opens nothing from here on, whatever else is wrong.
Result<void> Monitor::read_again() {
  auto files = read_senders(m_host.paths.webhooks());
  m_intake->set_senders(std::move(files.senders));
  for (const auto& fault : files.faults)
    log::error(cat("reload: ", fault.message, ": its sender is refused"));
  if (!files.faults.empty())
    return fail(Code::invalid,
        cat(files.faults.front().message,
            ": its sender is refused until this is fixed; the other keys are read as they are"));
  const auto config = check_configuration(m_host.paths);
  return config ? Result<void>{}
                : fail(config.error().code,
                      cat("the webhook keys are read as they are; ", config.error().message));
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

// What can be known to fail is found before anything is given up.
Result<void> Monitor::upgrade() {
  TRY_IN("this program keeps running", try_program(m_host.paths, m_program));
  m_upgrading = true;
  m_changes.notify(); // before the answer: who connects after it waits for the new program
  return {};
}

void Monitor::leave() {
  log::info(cat("upgrade: ", m_program, " takes over"));
  m_leaving = true;
  m_hang_up = m_host.clock.mono() + k_hang_up;
  m_control_server.stop();
}

// In this order: an unlock that is under way still needs the jobs, and a request that the edge has
// still needs its answer from here.
bool Monitor::may_leave() {
  if (!m_drain_until) {
    if (m_hang_up && m_host.clock.mono() >= *m_hang_up) {
      m_control_server.hang_up();
      m_hang_up.reset();
    }
    if (!m_control_server.idle() || !m_engine.ask_to_stop())
      return false;
    m_intake->drain();
    m_drain_until = m_host.clock.mono() + k_drain_limit;
  }
  return m_host.clock.mono() >= *m_drain_until;
}

int Monitor::timeout() {
  const os::Millis now = m_host.clock.mono();
  os::Millis wait = m_poll_wait;
  for (const auto& deadline : {m_drain_until, m_drain_until ? std::nullopt : m_hang_up,
           m_leaving ? std::nullopt : m_edge_due, m_engine.next_deadline()})
    if (deadline)
      wait = sooner(wait, std::max(os::Millis{0}, *deadline - now));
  return static_cast<int>(std::min<int64_t>(wait.count(), 3'600'000));
}

void Monitor::clear_changes() {
  m_changes.clear();
  reload_asked();
}

void Monitor::accept_operator() {
  if (auto connection = os::accept(m_control.get()))
    m_control_server.take(std::move(*connection));
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
  std::array<pollfd, 8> fds{pollfd{m_signals.get(), POLLIN, 0},
      pollfd{m_leaving ? -1 : m_control.get(), POLLIN, 0}, pollfd{m_intake->fd(), POLLIN, 0},
      pollfd{m_edge.pidfd(), POLLIN, 0}, pollfd{m_changes.fd(), POLLIN, 0},
      pollfd{m_vault.pidfd(), POLLIN, 0}, pollfd{m_intake->refusal_timer(), POLLIN, 0},
      pollfd{m_logs.fd(), POLLIN, 0}};
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
  handle(came(1) && !m_leaving, "the control socket", [this] { accept_operator(); });
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
    if (end && *end)
      return **end;
    if (!end || std::exchange(m_hurt, false))
      m_host.clock.sleep(k_breath);
  }
}

log::Level level_of(std::string_view name) {
  return name == "debug" ? log::Level::debug
      : name == "warn"   ? log::Level::warn
      : name == "error"  ? log::Level::error
                         : log::Level::info;
}

int complain(std::string_view what, const Error& error, int code) {
  log::error(cat(what, ": ", error.message));
  return code;
}

} // namespace

Result<config::HostConfig> check_configuration(const os::Paths& paths) {
  constexpr size_t k_max_config = 256 * 1024;
  auto& disk = os::real_disk();
  const auto text = disk.exists(paths.config_file())
      ? TRY(disk.read(paths.config_file(), k_max_config))
      : std::string();
  auto config = TRY(config::parse_host_config(text, paths.config_file()));
  (void)TRY(load_senders(paths.webhooks()));
  (void)TRY(artifact::load_trusted_keys(paths.trusted()));
  if (config.edge_test_port != 0 && !paths.testing())
    return fail(Code::invalid,
        cat(paths.config_file(), ": edge.test_port: for tests under CHILLBOX_ROOT only"));
  return config;
}

Result<void> check_start(const os::Paths& paths) {
  (void)TRY(check_configuration(paths));
  (void)TRY(take_inherited());
  return store::Store::check(paths.database());
}

namespace {

// From a start to the end, or to the program that comes next. That one is not there: the same once
// more, with what was to be handed over.
std::optional<int> run_monitor(const os::Paths& paths, const std::string& program,
    Inherited& inherited, const std::string& refusal) {
  auto config = check_configuration(paths);
  if (!config)
    return complain("configuration", config.error(), k_ex_config);
  log::init("monitor", level_of(config->log_level));
  if (auto hidden = os::deny_core_and_ptrace(); !hidden)
    return complain("start", hidden.error(), 1);
  // Blocked in every thread: only the signal descriptor sees them. SIGXFSZ and SIGPIPE are errors
  // of a call, not the end (faults 100).
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGXFSZ, SIGPIPE})
    sigaddset(&set, number);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  if (auto made = prepare_directories(paths, *config); !made)
    return complain("start", made.error(), 1);
  if (const size_t killed =
          openrc::kill_orphans(os::real_disk(), os::real_clock(), paths, "chillboxd");
      killed > 0)
    log::warn(cat("ended what an earlier daemon left running: ", killed,
        killed == 1 ? " process" : " processes"));
  if (!paths.testing())
    os::remove_stale_groups();
  std::vector<std::string> told;
  auto store = open_store(paths, &told);
  if (!store)
    return complain("start", store.error(), store.error().code == Code::conflict ? k_ex_config : 1);
  Monitor monitor(paths, std::move(*config), std::move(*store), program);
  for (auto& text : told)
    monitor.warn(std::move(text));
  if (auto started = monitor.start(std::move(inherited)); !started)
    return complain("start", started.error(), 1);
  if (!refusal.empty())
    monitor.not_upgraded(refusal);
  os::trim_memory();
  if (monitor.loop() == Monitor::End::upgrade) {
    inherited = monitor.hand_over();
    return std::nullopt;
  }
  log::info("asked to stop: services keep running");
  return 0;
}

// By OpenRC, which starts it again for ever. Somebody who runs it by hand does not wait.
bool is_supervised() {
  const char* service = std::getenv("RC_SVCNAME");
  return service != nullptr && std::string_view(service) == "chillboxd";
}

} // namespace

int monitor_main(const os::Paths& paths, const std::string& program) {
  auto inherited = take_inherited();
  if (inherited && !inherited->control && is_supervised())
    openrc::wait_for_turn(os::real_disk(), os::real_clock(), paths.run() + "/chillboxd.starts");
  if (!inherited)
    return complain("start", inherited.error(), k_ex_config);
  for (std::string refusal;;) {
    if (const auto code = run_monitor(paths, program, *inherited, refusal))
      return *code;
    refusal = execute(program, *inherited).message;
    log::error(cat("upgrade: this program keeps running: ", refusal));
  }
}

} // namespace chillbox::daemon
