#include "daemon/monitor.hpp"

#include "artifact/verify.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/bell.hpp"
#include "daemon/crontab.hpp"
#include "daemon/gate.hpp"
#include "daemon/log_keeper.hpp"
#include "daemon/operator.hpp"
#include "daemon/ground.hpp"
#include "daemon/handover.hpp"
#include "openrc/cgroup.hpp"
#include "openrc/restarts.hpp"
#include "os/control_group.hpp"
#include "os/memory.hpp"
#include "os/process.hpp"
#include "os/roots.hpp"
#include "os/sandbox.hpp"
#include "os/socket.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>

namespace chillbox::daemon {
namespace {

constexpr int k_ex_config = 78;
constexpr os::Millis k_restart_pause{1'000}; // of an edge that keeps dying
constexpr os::Millis k_reload_wait{10'000};
constexpr os::Millis k_drain_limit{5'000};   // for the requests that are under way at an upgrade; an upload that is cut off can be repeated
constexpr std::chrono::milliseconds k_refusal_hold{3}; // longer than any webhook is looked at

// Negative: not at all.
os::Millis sooner(os::Millis a, os::Millis b) { return a.count() < 0 ? b : b.count() < 0 ? a : std::min(a, b); }

class Monitor {
public:
  Monitor(os::Paths paths, config::HostConfig config, store::Store store, std::string program)
      : m_program(std::move(program)), m_store(std::move(store)), m_vault(ground_user("chillbox-vault")),
        m_nginx(os::real_disk(), os::real_runner(), os::real_clock(), paths, config),
        m_slots(os::real_disk(), os::real_runner(), os::real_clock(), paths),
        m_world{os::real_disk(), os::real_runner(), os::real_clock(), paths, std::move(config), m_store, m_vault, m_nginx, m_slots,
                ground_is_real(paths), [this](const std::string&) { changed(); }},
        m_crontab(m_world, m_bell), m_engine(m_world),
        m_operator(m_world, m_engine, m_crontab, m_bell, {.reload = [this] { return reload(); }, .upgrade = [this] { return upgrade(); }}), m_logs(m_world) {}

  Result<void> start(Handover handover);
  void warn(std::string text) { m_operator.warn(std::move(text)); }
  enum class End { stop, upgrade };
  End loop();
  void not_upgraded(const std::string& why) { m_operator.not_upgraded(why); }
  Handover hand_over() { return {std::move(m_control), std::move(m_hook), m_vault.hand_over()}; }

private:
  Result<void> start_edge();
  Result<void> serve_host(); // NGINX passes /v1/ to the edge
  Result<void> reload();     // by a control thread: what the loop found
  Result<void> read_again(); // by the loop
  void reload_asked();
  void changed(); // by a job
  void edge_ended();
  void vault_ended();
  int timeout(os::Millis poll_wait);
  bool signalled(); // false: stop
  Result<void> upgrade(); // by a control thread: the loop leaves soon, or the new program is refused
  void leave();
  bool may_leave(); // nothing is under way any more

  std::string m_program;
  store::Store m_store;
  secrets::Vault m_vault;
  nginx::Nginx m_nginx;
  openrc::Slots m_slots;
  Bell m_bell;
  rollout::World m_world;
  Crontab m_crontab;
  rollout::Engine m_engine; // behind it, because its jobs tell the crontab
  Operator m_operator;
  LogKeeper m_logs;
  std::unique_ptr<Gate> m_gate;
  std::mutex m_reload_mutex;
  std::condition_variable m_reloaded;
  uint64_t m_reloads_asked = 0, m_reloads_done = 0;
  Result<void> m_reload_outcome; // of the newest
  Fd m_signals, m_control, m_hook;
  os::Child m_edge;
  os::Millis m_edge_started{0};
  std::atomic<bool> m_upgrading{false};
  bool m_leaving = false;
  std::optional<os::Millis> m_drain_until;
};

Result<void> Monitor::start(Handover handover) {
  const auto& paths = m_world.paths;
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&set, number);
  m_signals = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (handover.vault.socket)
    if (auto taken = m_vault.take(std::move(handover.vault)); !taken)
      m_operator.warn(cat("the vault did not come through the upgrade: the host is sealed (", taken.error().message, ")"));
  const auto group = os::find_group("chillbox-admin");
  m_control = std::move(handover.control);
  if (!m_control)
    m_control = TRY(os::listen_unix(paths.control_socket(), 0660, {::geteuid(), group.value_or(::getegid())}, 64));
  m_hook = std::move(handover.hook);
  if (!m_hook)
    m_hook = TRY(listen_for_edge(m_world.config, paths, m_nginx));
  auto secret = TRY(m_store.host_secret());
  auto senders = TRY(load_senders(paths.webhooks()));
  m_gate = std::make_unique<Gate>(m_world, m_engine, std::move(secret), std::move(senders), k_refusal_hold);
  TRY(start_edge());
  if (auto host = serve_host(); !host) {
    log::warn(cat("nginx: ", host.error().message));
    m_operator.warn(cat("nginx: ", host.error().message));
  }
  m_operator.record_keys("chillboxd, at its start");
  if (const auto hooks = os::check_roots(paths.etc(), "hooks.d"); !hooks && hooks.error().code == Code::denied) {
    log::warn(cat("hooks: ", hooks.error().message));
    m_operator.warn(cat("hooks: ", hooks.error().message, ": what needs it is refused until then"));
  }
  m_engine.recover();
  m_crontab.begin();
  return {};
}

void Monitor::changed() {
  m_bell.ring();
  m_crontab.refresh();
}

Result<void> Monitor::serve_host() {
  if (m_world.paths.testing() && m_world.config.nginx_dir.empty())
    return {}; // a test that names no directory of its own must not find this machine's
  sweep(TRY(m_nginx.directory()), "chillbox.");
  return TRY(m_nginx.install_host()) ? m_nginx.reload() : Result<void>{};
}

Result<void> Monitor::start_edge() {
  auto [ours, theirs] = TRY(os::packet_pair());
  os::RoleCommand command{.argv = {"chillboxd: edge", "--edge", ground_user("chillbox"), std::to_string(m_world.config.artifact_max)}};
  command.fds = {{theirs.get(), 3}, {m_hook.get(), 4}};
  m_edge = TRY(os::Child::start(command));
  m_edge_started = m_world.clock.mono();
  m_gate->attach(std::move(ours));
  return {};
}

void Monitor::edge_ended() {
  const auto code = m_edge.wait(os::Millis{1'000});
  log::error(cat("the edge ended with ", os::end_text(code.value_or(-1)), ": it is started again"));
  if (code.value_or(-1) == 128 + SIGSYS) // somebody got in
    m_operator.warn("the edge made a forbidden system call and was started again: see the log, and look for who sends what");
  if (m_world.clock.mono() - m_edge_started < k_restart_pause)
    m_world.clock.sleep(k_restart_pause);
  if (auto started = start_edge(); !started)
    log::error(cat("the edge does not start: ", started.error().message));
}

void Monitor::vault_ended() {
  if (m_vault.unsealed() || m_operator.locked())
    return;
  const std::string end = m_vault.last_end();
  const std::string what = cat("the vault ended by itself", end.empty() ? "" : " with ", end, ": the host is sealed");
  log::error(cat(what, ", `chillboxctl unlock` opens it again"));
  m_operator.warn(what);
}

// The senders first: a key that was removed opens nothing from here on, whatever else is wrong.
Result<void> Monitor::read_again() {
  auto files = read_senders(m_world.paths.webhooks());
  m_gate->set_senders(std::move(files.senders));
  for (const auto& fault : files.faults)
    log::error(cat("reload: ", fault.message, ": its sender is refused"));
  if (!files.faults.empty())
    return fail(Code::invalid, cat(files.faults.front().message, ": its sender is refused until this is mended; the other keys are taken as they are"));
  const auto config = check_configuration(m_world.paths);
  return config ? Result<void>{} : fail(config.error().code, cat("the webhook keys are taken as they are; ", config.error().message));
}

// It is answered when the keys hold: who removed one must not see it used afterwards.
Result<void> Monitor::reload() {
  std::unique_lock lock(m_reload_mutex);
  const uint64_t mine = ++m_reloads_asked;
  m_bell.ring();
  if (!m_reloaded.wait_for(lock, k_reload_wait, [&] { return m_reloads_done >= mine; }))
    return fail(Code::busy, "the keys are not read yet, chillboxd is busy: `chillboxctl reload` again, until it succeeds");
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
    m_operator.record_keys("chillboxd, at SIGHUP");
  }
  return true;
}

// What can be known to fail is found before anything is given up.
Result<void> Monitor::upgrade() {
  TRY_IN("this program goes on", try_program(m_world.paths, m_program));
  m_upgrading = true;
  m_bell.ring(); // before the answer: who connects after it waits for the new program
  return {};
}

void Monitor::leave() {
  log::info(cat("upgrade: ", m_program, " takes over"));
  m_leaving = true;
  m_operator.stop();
}

// In this order: an unlock that is under way still needs the jobs, and a request that the edge has still needs its answer from here.
bool Monitor::may_leave() {
  if (!m_drain_until) {
    if (!m_operator.idle())
      return false;
    m_engine.stop();
    m_gate->drain();
    m_drain_until = m_world.clock.mono() + k_drain_limit;
  }
  return m_world.clock.mono() >= *m_drain_until;
}

int Monitor::timeout(os::Millis poll_wait) {
  int64_t wait = poll_wait.count();
  if (m_drain_until) {
    const int64_t left = std::max<int64_t>(0, (*m_drain_until - m_world.clock.mono()).count());
    wait = wait < 0 ? left : std::min(wait, left);
  }
  if (const auto deadline = m_engine.next_deadline()) {
    const int64_t left = std::max<int64_t>(0, (*deadline - m_world.clock.mono()).count());
    wait = wait < 0 ? left : std::min(wait, left);
  }
  return static_cast<int>(std::min<int64_t>(wait, 3'600'000));
}

Monitor::End Monitor::loop() {
  log::info(cat("chillboxd ", CHILLBOX_VERSION, " is ready, the host is ", m_vault.unsealed() ? "unsealed" : "sealed"));
  os::Millis poll_wait{0}; // at once: logs may have grown meanwhile
  for (;;) {
    const int vault = m_vault.pidfd();
    std::array<pollfd, 8> fds{pollfd{m_signals.get(), POLLIN, 0}, pollfd{m_leaving ? -1 : m_control.get(), POLLIN, 0}, pollfd{m_gate->fd(), POLLIN, 0},
                              pollfd{m_edge.pidfd(), POLLIN, 0},  pollfd{m_bell.fd(), POLLIN, 0},     pollfd{vault, POLLIN, 0},
                              pollfd{m_gate->refusal_timer(), POLLIN, 0}, pollfd{m_logs.fd(), POLLIN, 0}};
    const int ready = ::poll(fds.data(), fds.size(), timeout(poll_wait));
    if (ready == 0)
      m_engine.expire();
    if (fds[0].revents != 0 && !signalled())
      return End::stop;
    if (fds[4].revents != 0) {
      m_bell.silence();
      reload_asked();
    }
    if (m_upgrading && !m_leaving)
      leave();
    if (fds[1].revents != 0 && !m_leaving)
      if (auto connection = os::accept(m_control.get()))
        m_operator.take(std::move(*connection));
    const bool edge_open = fds[2].revents == 0 || m_gate->serve();
    if (fds[6].revents != 0)
      m_gate->refuse_due();
    const bool edge_gone = !edge_open || fds[3].revents != 0;
    if (m_leaving && (may_leave() || (m_drain_until && edge_gone)))
      return End::upgrade;
    if (edge_gone)
      edge_ended();
    if (fds[5].revents != 0)
      vault_ended();
    if (fds[7].revents != 0)
      m_logs.written();
    poll_wait = sooner(m_gate->answer_waiting(), m_logs.look_if_due());
  }
}

log::Level level_of(std::string_view name) {
  return name == "debug" ? log::Level::debug : name == "warn" ? log::Level::warn : name == "error" ? log::Level::error : log::Level::info;
}

int complain(std::string_view what, const Error& error, int code) {
  log::error(cat(what, ": ", error.message));
  return code;
}

} // namespace

Result<config::HostConfig> check_configuration(const os::Paths& paths) {
  constexpr size_t k_max_config = 256 * 1024;
  auto& disk = os::real_disk();
  const auto text = disk.exists(paths.config_file()) ? TRY(disk.read(paths.config_file(), k_max_config)) : std::string();
  auto config = TRY(config::parse_host_config(text, paths.config_file()));
  (void)TRY(load_senders(paths.webhooks()));
  (void)TRY(artifact::load_trusted(paths.trusted()));
  if (config.edge_test_port != 0 && !paths.testing())
    return fail(Code::invalid, cat(paths.config_file(), ": edge.test_port: for tests under CHILLBOX_ROOT only"));
  return config;
}

Result<void> check_start(const os::Paths& paths) {
  (void)TRY(check_configuration(paths));
  (void)TRY(take_handover());
  return store::Store::check(paths.database());
}

namespace {

// From a start to the end, or to the program that comes next. That one is not there: the same once more, with what was to be handed over.
std::optional<int> run_monitor(const os::Paths& paths, const std::string& program, Handover& handover, const std::string& refusal) {
  auto config = check_configuration(paths);
  if (!config)
    return complain("configuration", config.error(), k_ex_config);
  log::init("monitor", level_of(config->log_level));
  if (auto hidden = os::hide_memory(); !hidden)
    return complain("start", hidden.error(), 1);
  // Blocked in every thread: only the signal descriptor sees them. SIGXFSZ and SIGPIPE are errors of a call, not the end (faults 100).
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGXFSZ, SIGPIPE})
    sigaddset(&set, number);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  if (auto ground = prepare_ground(paths, *config); !ground)
    return complain("start", ground.error(), 1);
  if (const size_t killed = openrc::kill_orphans(os::real_disk(), os::real_clock(), paths, "chillboxd"); killed > 0)
    log::warn(cat("ended what an earlier daemon left running: ", killed, killed == 1 ? " process" : " processes"));
  if (!paths.testing())
    os::remove_stale_groups();
  std::vector<std::string> told;
  auto store = open_store(paths, &told);
  if (!store)
    return complain("start", store.error(), store.error().code == Code::conflict ? k_ex_config : 1);
  Monitor monitor(paths, std::move(*config), std::move(*store), program);
  for (auto& text : told)
    monitor.warn(std::move(text));
  if (auto started = monitor.start(std::move(handover)); !started)
    return complain("start", started.error(), 1);
  if (!refusal.empty())
    monitor.not_upgraded(refusal);
  os::give_back_memory();
  if (monitor.loop() == Monitor::End::upgrade) {
    handover = monitor.hand_over();
    return std::nullopt;
  }
  log::info("asked to stop: services go on");
  return 0;
}

// By OpenRC, which starts it again for ever. Somebody who runs it by hand does not wait.
bool is_supervised() {
  const char* service = std::getenv("RC_SVCNAME");
  return service != nullptr && std::string_view(service) == "chillboxd";
}

} // namespace

int monitor_main(const os::Paths& paths, const std::string& program) {
  auto handover = take_handover();
  if (handover && !handover->control && is_supervised())
    openrc::wait_for_turn(os::real_disk(), os::real_clock(), paths.run() + "/chillboxd.starts");
  if (!handover)
    return complain("start", handover.error(), k_ex_config);
  for (std::string refusal;;) {
    if (const auto code = run_monitor(paths, program, *handover, refusal))
      return *code;
    refusal = execute(program, *handover).message;
    log::error(cat("upgrade: this program goes on: ", refusal));
  }
}

} // namespace chillbox::daemon
