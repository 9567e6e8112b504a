#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/monitor_main.hpp"
#include "edge/edge.hpp"
#include "os/memory.hpp"
#include "os/roles.hpp"
#include "os/sandbox.hpp"

namespace chillbox::daemon {

int edge_role(const std::string& user, uint64_t artifact_max) {
  os::Confinement c = os::confinement_of(os::k_edge_role);
  c.file_limit = artifact_max;
  if (user != "-") {
    auto found = os::find_user(user);
    if (!found) {
      log::error(found.error().message);
      return 1;
    }
    c.user = std::move(*found);
    c.chroot_to = os::Paths::from_environment().empty();
  }
  auto confined = os::deny_core_and_ptrace();
  if (confined)
    confined = os::confine(c);
  if (!confined) {
    log::error(cat("cannot give up what it must not have: ", confined.error().message));
    return 1;
  }
  os::trim_memory();
  return edge::edge_main({.listener_fd = 4, .monitor_fd = 3, .artifact_max = artifact_max});
}

} // namespace chillbox::daemon
