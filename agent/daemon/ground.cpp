#include "daemon/ground.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"
#include "os/mount.hpp"
#include "os/socket.hpp"

#include <unistd.h>

namespace chillbox::daemon {
namespace {

constexpr int k_backlog = 512;

os::Owner owned_by(const std::string& user) {
  const auto found = os::find_user(user);
  return found ? os::Owner{found->uid, found->gid} : os::Owner{::geteuid(), ::getegid()};
}

Result<void> mount_or_make(const os::Paths& paths, const std::string& path, uint64_t size, const config::HostConfig& config) {
  // Traversable: the stager finds its own directory below, a service its own secrets.
  constexpr mode_t k_traverse = 0711;
  if (::geteuid() != 0 || paths.testing())
    return os::real_disk().make_dir(path, k_traverse, {::geteuid(), ::getegid()});
  TRY(os::real_disk().make_dir(path, k_traverse));
  const bool noswap = TRY(os::mount_tmpfs(path, {.size_bytes = size, .mode = k_traverse, .allow_swap = config.allow_swap}));
  if (!noswap && os::swap_is_on())
    log::warn(cat(path, ": may be swapped out (stage.allow_swap)"));
  return {};
}

// What a power cut left half written: copies of artifacts and of releases can be large. What cannot be swept is no reason not to start.
void sweep(const os::Paths& paths) {
  std::vector<std::string> dirs{paths.artifacts(), paths.secret_sets()};
  for (const auto& site : os::real_disk().list(paths.sites()).value_or(std::vector<std::string>{}))
    for (const char* below : {"", "/releases"})
      dirs.push_back(cat(paths.sites(), "/", site, below));
  for (const auto& dir : dirs) {
    const auto swept = os::sweep_temporaries(dir);
    if (!swept)
      log::warn(swept.error().message);
    else if (*swept > 0)
      log::info(cat(dir, ": removed ", *swept, " that were not written to their end"));
  }
}

} // namespace

std::string ground_user(const std::string& name) { return ::geteuid() == 0 && os::find_user(name) ? name : "-"; }

std::optional<os::User> ground_stager() {
  auto user = os::find_user("chillbox-stage");
  return ::geteuid() == 0 && user ? std::optional(std::move(*user)) : std::nullopt;
}

Result<void> prepare_ground(const os::Paths& paths, const config::HostConfig& config) {
  auto& disk = os::real_disk();
  if (::geteuid() == 0 && !paths.testing())
    for (const char* name : {"chillbox", "chillbox-vault", "chillbox-stage"})
      if (!os::find_user(name))
        return fail(Code::not_found, cat("no user '", name, "' on this host: run `chillboxctl init`"));
  const os::Owner me{::geteuid(), ::getegid()};
  struct Row {
    std::string path;
    mode_t mode;
    os::Owner owner;
  };
  const Row rows[] = {{paths.state(), 0755, me},
                      {paths.artifacts(), 0700, me},
                      {paths.secret_sets(), 0700, me},
                      {paths.wheelhouse(), 0755, me},
                      {paths.inbox(), 0700, owned_by("chillbox")},
                      {paths.run(), 0755, me},
                      {paths.run() + "/live", 0755, me},
                      {paths.run() + "/sealed", 0755, me},
                      {paths.run() + "/empty", 0555, me}, // the root directory of the edge
                      {paths.slots(), 0755, me},
                      {paths.sites(), 0755, me},
                      {paths.logs(), 0755, me}};
  for (const auto& row : rows)
    TRY(disk.make_dir(row.path, row.mode, row.owner));
  for (const auto& name : TRY(disk.list(paths.inbox()))) // uploads that a restart cut off
    TRY(disk.remove(paths.inbox() + "/" + name));
  sweep(paths);
  TRY(mount_or_make(paths, paths.stage(), config.stage_size, config));
  return mount_or_make(paths, paths.secrets(), config.secrets_size, config);
}

Result<store::Store> open_store(const os::Paths& paths) {
  const int64_t now = os::real_clock().wall_ms();
  auto store = store::Store::open(paths.database(), now);
  if (store || store.error().code != Code::corrupt)
    return store;
  const std::string aside = cat(paths.database(), ".damaged-", now);
  log::error(cat(store.error().message, ": moved to ", aside, ", an empty store is begun; sites must be deployed again"));
  for (const char* suffix : {"", "-wal", "-shm"})
    if (os::real_disk().exists(paths.database() + suffix))
      TRY(os::real_disk().rename(paths.database() + suffix, aside + suffix));
  return store::Store::open(paths.database(), now);
}

Result<Fd> listen_for_edge(const config::HostConfig& config, const os::Paths& paths, nginx::Nginx& nginx) {
  if (paths.testing() && config.edge_test_port != 0)
    return os::listen_tcp_loopback(config.edge_test_port, k_backlog);
  const auto group = nginx.group();
  if (!group)
    log::warn(cat("nginx: ", group.error().message));
  return os::listen_unix(paths.hook_socket(), 0660, {owned_by("chillbox").uid, group.value_or(::getegid())}, k_backlog);
}

} // namespace chillbox::daemon
