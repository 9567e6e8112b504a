#include "os/paths.hpp"

#include <unistd.h>

#include <cstdlib>

namespace chillbox::os {
namespace {

std::string environment(const char* name) {
  const char* value = ::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

} // namespace

Paths Paths::from_environment() {
  std::string root = environment("CHILLBOX_ROOT");
  // Absolute, because the daemon changes its directory; without the closing slashes, because every
  // path adds its own.
  if (!root.empty() && root.front() != '/') {
    char here[4096];
    if (::getcwd(here, sizeof here) != nullptr)
      root = std::string(here) + "/" + root;
  }
  while (!root.empty() && root.back() == '/')
    root.pop_back();
  return Paths{std::move(root)};
}

std::string Paths::config_file() const {
  std::string file = etc() + "/chillboxd.toml", old = old_config_file();
  return ::access(file.c_str(), F_OK) != 0 && ::access(old.c_str(), F_OK) == 0 ? old : file;
}

std::string Paths::shipped_hooks() const {
  // Only tests may replace what root runs.
  if (testing())
    if (std::string hooks = environment("CHILLBOX_HOOKS"); !hooks.empty())
      return hooks;
  return root + "/usr/lib/chillbox/hooks";
}

std::string Paths::control_socket() const {
  const std::string socket = environment("CHILLBOX_SOCKET");
  return socket.empty() ? run() + "/control.sock" : socket;
}

} // namespace chillbox::os
