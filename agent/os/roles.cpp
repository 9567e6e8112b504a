#include "os/roles.hpp"

namespace chillbox::os {

RoleCommand role_command(const Role& role, std::vector<std::string> arguments) {
  RoleCommand command;
  command.argv = {std::string(role.title), std::string(role.flag)};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  return command;
}

Confinement confinement_of(const Role& role) {
  return {.profile = role.profile.value(),
      .user = {},
      .chroot_to = {},
      .memory_limit = role.memory_limit,
      .open_files = role.open_files};
}

} // namespace chillbox::os
