// chillboxd. Without arguments the monitor, in the foreground; the other roles are started by it
// and by the slots' init script.
#include "artifact/stager.hpp"
#include "backup/placing.hpp"
#include "backup/proof.hpp"
#include "backup/snapshot.hpp"
#include "base/log.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"
#include "cron/task.hpp"
#include "daemon/monitor_main.hpp"
#include "daemon/startup.hpp"
#include "openrc/slots.hpp"
#include "os/roles.hpp"
#include "rollout/data_copy.hpp"
#include "secrets/vault.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace chillbox;

constexpr std::string_view k_help =
    "usage: chillboxd [--check | --version | --help]\n"
    "\n"
    "The daemon of chillbox, in the foreground; OpenRC runs it (rc-service chillboxd start).\n"
    "  --check    read the configuration and the keys, say what is wrong, and end (0: all is well, 78: not)\n"
    "  --version  print the version\n"
    "See chillboxd(8).\n";

// What an upgrade executes: the path that we were started by, whatever file is at that path now.
std::string own_path(const std::string& name) {
  constexpr std::string_view k_gone = " (deleted)";
  if (name.find('/') != std::string::npos)
    return name;
  char buffer[4096];
  const auto size = ::readlink("/proc/self/exe", buffer, sizeof buffer);
  std::string path(buffer, size < 0 ? 0 : static_cast<size_t>(size));
  if (path.ends_with(k_gone))
    path.resize(path.size() - k_gone.size());
  return path;
}

struct RoleMain {
  const os::Role& role;
  size_t arguments; // after the flag
  bool logs;
  int (*main)(const std::vector<std::string>& arguments);
};
using Arguments = const std::vector<std::string>&;
const std::array k_mains{
    RoleMain{os::k_edge_role, 2, true,
        [](Arguments a) { return daemon::edge_role(a[0], parse_u64(a[1]).value_or(0)); }},
    RoleMain{os::k_vault_role, 1, true, [](Arguments a) { return secrets::vault_main(a[0]); }},
    RoleMain{os::k_stager_role, 0, true, [](Arguments) { return artifact::stager_main(); }},
    RoleMain{os::k_task_role, 1, false, [](Arguments a) { return cron::task_main(a[0]); }},
    RoleMain{os::k_launcher_role, 1, false, [](Arguments a) { return openrc::slot_main(a[0]); }},
    RoleMain{
        os::k_snapshot_role, 1, false, [](Arguments a) { return backup::snapshot_main(a[0]); }},
    RoleMain{os::k_proof_role, 1, false, [](Arguments a) { return backup::proof_main(a[0]); }},
    RoleMain{os::k_restore_role, 1, false, [](Arguments a) { return backup::restore_main(a[0]); }},
    RoleMain{os::k_copier_role, 1, false, [](Arguments a) { return rollout::copier_main(a[0]); }},
};
static_assert(k_mains.size() == os::k_own_roles);

int check() {
  const auto paths = os::Paths::from_environment();
  const auto found = daemon::check_start(paths);
  if (found) {
    const bool there = os::real_disk().exists(paths.config_file());
    std::printf(there ? "chillboxd: the configuration %s is fine\n"
                      : "chillboxd: there is no %s: the defaults are used\n",
        paths.config_file().c_str());
    return 0;
  }
  std::fprintf(stderr, "chillboxd: %s\n", found.error().message.c_str());
  return 78;
}

} // namespace

int main(int argc, char** argv) {
  daemon::wait_if_supervised(os::Paths::from_environment());
  const std::vector<std::string> args(argv + 1, argv + argc);
  const std::string role = args.empty() ? "" : args[0];
  if (role == "--version")
    return std::printf("chillboxd %s\n", CHILLBOX_VERSION) > 0 ? 0 : 1;
  if (role == "--help" || role == "-h")
    return std::fwrite(k_help.data(), 1, k_help.size(), stdout) == k_help.size() ? 0 : 1;
  init_crypto();
  for (const auto& row : k_mains)
    if (role == row.role.flag && args.size() == 1 + row.arguments) {
      if (row.logs)
        log::init(role.substr(2), log::Level::info);
      return row.main({args.begin() + 1, args.end()});
    }
  log::init("monitor", log::Level::info);
  if (role.empty())
    return daemon::monitor_main(os::Paths::from_environment(), own_path(argv[0]));
  if (role == "--check" && args.size() == 1)
    return check();
  std::fwrite(k_help.data(), 1, k_help.size(), stderr);
  return 2;
}
