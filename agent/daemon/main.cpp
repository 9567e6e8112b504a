// chillboxd. Without arguments the monitor, in the foreground; the other roles are started by it
// and by the slots' init script.
#include "artifact/stager.hpp"
#include "base/log.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"
#include "cron/task.hpp"
#include "daemon/monitor.hpp"
#include "openrc/slots.hpp"
#include "secrets/vault.hpp"

#include <unistd.h>

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

// What an upgrade executes: the path that we were started by, whatever file is there now.
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

int check() {
  const auto paths = os::Paths::from_environment();
  const auto found = daemon::check_start(paths);
  if (found) {
    std::printf("chillboxd: the configuration %s is fine\n", paths.config_file().c_str());
    return 0;
  }
  std::fprintf(stderr, "chillboxd: %s\n", found.error().message.c_str());
  return 78;
}

} // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  const std::string role = args.empty() ? "" : args[0];
  if (role == "--version")
    return std::printf("chillboxd %s\n", CHILLBOX_VERSION) > 0 ? 0 : 1;
  if (role == "--help" || role == "-h")
    return std::fwrite(k_help.data(), 1, k_help.size(), stdout) == k_help.size() ? 0 : 1;
  init_crypto();
  if (role == "--task" && args.size() == 2)
    return cron::task_main(args[1]);
  if (role == "--slot" && args.size() == 2)
    return openrc::slot_main(args[1]);
  log::init(role.empty() || role == "--check" ? "monitor" : role.substr(2), log::Level::info);
  if (role.empty())
    return daemon::monitor_main(os::Paths::from_environment(), own_path(argv[0]));
  if (role == "--check" && args.size() == 1)
    return check();
  if (role == "--edge" && args.size() == 3)
    return daemon::edge_role(args[1], parse_u64(args[2]).value_or(0));
  if (role == "--vault" && args.size() == 2)
    return secrets::vault_main(args[1]);
  if (role == "--stager")
    return artifact::stager_main();
  std::fwrite(k_help.data(), 1, k_help.size(), stderr);
  return 2;
}
