#include "daemon/monitor_main.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/monitor.hpp"
#include "daemon/startup.hpp"
#include "openrc/cgroup.hpp"
#include "openrc/restarts.hpp"
#include "os/control_group.hpp"
#include "os/memory.hpp"
#include "os/sandbox.hpp"

#include <signal.h>

#include <cstdlib>

namespace chillbox::daemon {
namespace {

constexpr int k_ex_config = 78;

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

// Runs the daemon until it is stopped, and returns its exit code; or until an upgrade, and leaves
// in `inherited` what the next program takes over. `refusal`: why the last upgrade did not happen.
std::optional<int> run_monitor(const os::Paths& paths, const std::string& program,
    Inherited& inherited, const std::string& refusal) {
  auto config = check_configuration(paths);
  if (!config)
    return complain("configuration", config.error(), k_ex_config);
  log::init("monitor", level_of(config->log_level));
  os::keep_one_heap();
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
  std::vector<std::string> notes;
  auto store = open_store(paths, notes);
  if (!store)
    return complain("start", store.error(), store.error().code == Code::conflict ? k_ex_config : 1);
  Monitor monitor(paths, std::move(*config), std::move(*store), program);
  for (auto& text : notes)
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

} // namespace

void wait_if_supervised(const os::Paths& paths) {
  constexpr const char* k_variable = "CHILLBOX_SUPERVISED"; // openrc/chillboxd
  if (std::getenv(k_variable) == nullptr)
    return;
  ::unsetenv(k_variable); // the program of an upgrade does not wait
  openrc::wait_for_turn(os::real_disk(), os::real_clock(), paths.run() + "/chillboxd.starts");
}

int monitor_main(const os::Paths& paths, const std::string& program) {
  auto inherited = take_inherited();
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
