#include "os/host_layout.hpp"

#include "os/runner.hpp"

#include <unistd.h>

namespace chillbox::os {

Owner root_owner(const Paths& paths) {
  return paths.testing() ? Owner{::geteuid(), ::getegid()} : Owner{};
}

Owner owner_of(const Paths& paths, std::string_view user, std::string_view group) {
  Owner owner = root_owner(paths);
  if (!user.empty())
    if (const auto found = find_user(std::string(user)))
      owner.uid = found->uid;
  if (!group.empty())
    if (const auto found = find_group(std::string(group)))
      owner.gid = *found;
  return owner;
}

std::vector<HostDirectory> host_directories(const Paths& paths) {
  const Owner root = root_owner(paths);
  const Owner edge = owner_of(paths, k_edge_user, k_edge_user);
  const Owner acme = owner_of(paths, k_acme_user, k_acme_user);
  const Owner ssh{root.uid, owner_of(paths, "", k_ssh_user).gid};
  using enum Kept;
  return {
      {paths.etc(), 0755, root, configuration},
      {paths.trusted(), 0755, root, configuration},
      {paths.webhooks(), 0700, root, configuration},
      {paths.admin_hooks(), 0755, root, configuration},
      {paths.etc() + "/notify", 0700, root, configuration},
      {paths.state(), 0755, root, always},
      {paths.artifacts(), 0700, root, always},
      {paths.secret_sets(), 0700, root, always},
      {paths.inbox(), 0700, edge, always},
      {paths.wheelhouse(), 0755, root, always},
      {paths.sites(), 0755, root, always},
      {paths.logs(), 0755, root, always},
      {paths.certs(), 0755, root, always},
      {paths.state() + "/backups", 0700, root, always},
      {paths.people(), 0700, root, always},
      {paths.rollouts(), 0700, root, always},
      {paths.ssh_home(), 0755, root, always},
      {paths.ssh_home() + "/.ssh", 0750, ssh, always},
      {paths.acme(), 0755, root, always},
      {paths.acme() + "/account", 0700, acme, always},
      {paths.acme() + "/.well-known", 0755, root, always},
      {paths.acme() + "/.well-known/acme-challenge", 0755, acme, always},
      {paths.run(), 0755, root, until_boot},
      {paths.run() + "/live", 0755, root, until_boot},
      {paths.run() + "/sealed", 0755, root, until_boot},
      {paths.empty(), 0555, root, until_boot},
      {paths.slots(), 0755, root, until_boot},
  };
}

} // namespace chillbox::os
