// The users and directories of a host, one table of each. `chillboxctl init` makes them, the daemon
// makes what is missing at each start, doctor checks them; the package's scripts and DESIGN.md are
// checked against them (tests/os/host_layout_test.cpp).
#pragma once

#include "os/disk.hpp"
#include "os/paths.hpp"

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::os {

inline constexpr std::string_view k_edge_user = "chillbox";
inline constexpr std::string_view k_vault_user = "chillbox-vault";
// Engines of hooks/acme run as this one.
inline constexpr std::string_view k_acme_user = "chillbox-acme";
// Hooks of hooks/backup run as this one.
inline constexpr std::string_view k_backup_user = "chillbox-backup";
// Hooks of hooks/notify run as this one.
inline constexpr std::string_view k_notify_user = "chillbox-notify";
// hooks/fetch/http runs as this one.
inline constexpr std::string_view k_fetch_user = "chillbox-fetch";
// What speaks to the engine of a fleet.
inline constexpr std::string_view k_courier_user = "chillbox-courier";
// People come in by ssh as this one.
inline constexpr std::string_view k_ssh_user = "chillbox-ssh";
// Its members may use the control socket.
inline constexpr std::string_view k_admin_group = "chillbox-admin";

// A system user with a group of the same name and without a password.
struct HostUser {
  std::string_view name;
  std::string_view home;
  std::string_view shell = ""; // "" : none, it cannot log in
};
inline constexpr std::array k_host_users{HostUser{k_edge_user, "/var/lib/chillbox"},
    HostUser{k_vault_user, "/dev/null"}, HostUser{k_acme_user, "/var/lib/chillbox/acme"},
    HostUser{k_backup_user, "/dev/null"}, HostUser{k_notify_user, "/dev/null"},
    HostUser{k_fetch_user, "/dev/null"}, HostUser{k_courier_user, "/dev/null"},
    HostUser{k_ssh_user, "/var/lib/chillbox/ssh", "/usr/lib/chillbox/gate"}};

enum class Kept {
  configuration, // the administrator's: made by init only
  always,
  until_boot, // made by the daemon only
};

struct HostDirectory {
  std::string path;
  mode_t mode;
  Owner owner;
  Kept kept;
};
// Parents come before what is in them.
std::vector<HostDirectory> host_directories(const Paths& paths);

// root; under CHILLBOX_ROOT (tests) the user who runs the test.
Owner root_owner(const Paths& paths);
// A user or group that does not exist (tests) is root's; so is "".
Owner owner_of(const Paths& paths, std::string_view user, std::string_view group);

} // namespace chillbox::os
