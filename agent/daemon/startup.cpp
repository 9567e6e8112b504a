#include "daemon/startup.hpp"

#include "artifact/trusted_keys.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/reexec.hpp"
#include "daemon/senders.hpp"
#include "nginx/counts.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"
#include "os/host_layout.hpp"
#include "os/job_user.hpp"
#include "os/mount.hpp"
#include "os/socket.hpp"
#include "rollout/assets.hpp"
#include "rollout/manifest.hpp"

#include <unistd.h>

namespace chillbox::daemon {
namespace {

constexpr int k_backlog = 512;

// Traversable: the stager finds its own directory below, a service its own secrets.
constexpr mode_t k_traverse = 0711;

Result<void> mount_or_make(const os::Paths& paths, const std::string& path, uint64_t size,
    const config::HostConfig& config) {
  if (!is_real_host(paths))
    return os::real_disk().make_dir(path, k_traverse, {::geteuid(), ::getegid()});
  TRY(os::real_disk().make_dir(path, k_traverse));
  const bool noswap = TRY(os::mount_tmpfs(
      path, {.size_bytes = size, .mode = k_traverse, .allow_swap = config.allow_swap}));
  if (!noswap && os::swap_is_on())
    log::warn(cat(path, ": may be swapped out (stage.allow_swap)"));
  return {};
}

// Nothing of it is secret; the size is what NGINX may fill while nobody reads. Whose group may look
// into it is known once NGINX's is (Nginx::begin_counts).
Result<void> mount_counts(const os::Paths& paths) {
  constexpr mode_t k_ours = 0700;
  const std::string path = nginx::counts_dir(paths);
  if (!os::real_disk().exists(path))
    TRY(os::real_disk().make_dir(path, k_ours, {::geteuid(), ::getegid()}));
  if (is_real_host(paths))
    (void)TRY(os::mount_tmpfs(
        path, {.size_bytes = nginx::k_counts_room, .mode = k_ours, .allow_swap = true}));
  return {};
}

std::vector<std::string> below(const std::string& dir) {
  std::vector<std::string> paths;
  for (const auto& name : os::real_disk().list(dir).value_or(std::vector<std::string>{}))
    paths.push_back(cat(dir, "/", name));
  return paths;
}

// Every directory that is ours alone and has files or links in it that are written by a rename.
// Copies of artifacts and of releases can be large.
void sweep_all(const os::Paths& paths) {
  for (const auto& dir : os::host_directories(paths))
    os::sweep_temporaries(dir.path);
  for (const auto& dir : {paths.state() + "/nginx", paths.etc() + "/metrics", paths.tls()})
    os::sweep_temporaries(dir);
  for (const auto* kind : {"/live", "/snapshots"})
    for (const auto& dir : below(paths.run() + kind))
      os::sweep_temporaries(dir);
  for (const auto& site : below(paths.state() + "/snapshots")) {
    os::sweep_temporaries(site);
    for (const auto& snapshot : below(site)) // not what is below it: the data are the site's own
      os::sweep_temporaries(snapshot);
  }
  for (const auto& site : below(paths.sites())) {
    os::sweep_temporaries(site);
    os::sweep_temporaries(site + "/releases");
    for (const auto& immutable : below(site + "/immutable"))
      os::sweep_temporaries(immutable);
    const std::string slug = site.substr(site.rfind('/'));
    os::sweep_temporaries(cat(paths.root, "/srv", slug), "root");
    for (const auto& service : below(cat(paths.root, "/usr/local/src", slug)))
      os::sweep_temporaries(service);
  }
  // OpenRC's are everybody's.
  for (const auto& dir : {paths.init_d(), paths.conf_d()})
    os::sweep_temporaries(dir, "chillbox.");
}

Result<void> check_users() {
  for (const auto& user : os::k_host_users)
    if (user.shell.empty() && !os::find_user(std::string(user.name)))
      return fail(
          Code::not_found, cat("no user '", user.name, "' on this host: run `chillboxctl init`"));
  return os::check_job_users();
}

// What a daemon that is gone had unpacked and not installed: its jobs begin again.
Result<void> remove_begun(const os::Paths& paths) {
  for (const auto& path : below(paths.stage()))
    TRY(os::real_disk().remove_tree(path));
  for (const auto& path : below(paths.secrets()))
    if (path[path.rfind('/') + 1] == '.')
      TRY(os::real_disk().remove_tree(path));
  return {};
}

} // namespace

std::string service_user(std::string_view name) {
  return ::geteuid() == 0 && os::find_user(std::string(name)) ? std::string(name) : "-";
}

bool is_real_host(const os::Paths& paths) {
  return ::geteuid() == 0 && !paths.testing();
}

Result<void> prepare_directories(const os::Paths& paths, const config::HostConfig& config) {
  auto& disk = os::real_disk();
  if (is_real_host(paths))
    TRY(check_users());
  for (const auto& row : os::host_directories(paths))
    if (row.kept != os::Kept::configuration)
      TRY(disk.make_dir(row.path, row.mode, row.owner));
  for (const auto& name : TRY(disk.list(paths.inbox()))) // uploads that a restart cut off
    TRY(disk.remove(paths.inbox() + "/" + name));
  sweep_all(paths);
  TRY(disk.remove_tree(paths.run() + "/nginx-candidate"));
  TRY(mount_or_make(paths, paths.stage(), config.stage_size, config));
  constexpr uint64_t k_sites = 128; // so many sets fit, an old and a new one of each; what one site
                                    // may take is limited when its set is opened
  constexpr uint64_t k_keys = 16ULL << 20;
  TRY(mount_or_make(paths, paths.tls(), k_keys, config));
  TRY(mount_or_make(paths, paths.secrets(), config.secrets_size * 2 * k_sites, config));
  TRY(mount_counts(paths));
  return remove_begun(paths);
}

Result<config::HostConfig> check_configuration(const os::Paths& paths) {
  constexpr size_t k_max_config = 256 * 1024;
  auto& disk = os::real_disk();
  const auto text = disk.exists(paths.config_file())
      ? TRY(disk.read(paths.config_file(), k_max_config))
      : std::string();
  auto config = TRY(config::parse_host_config(text, paths.config_file()));
  (void)TRY(load_senders(paths.webhooks()));
  (void)TRY(artifact::load_trusted_keys(paths.trusted()));
  if (config.edge_test_port != 0 && !paths.testing())
    return fail(Code::invalid,
        cat(paths.config_file(), ": edge.test_port: for tests under CHILLBOX_ROOT only"));
  return config;
}

Result<void> check_start(const os::Paths& paths) {
  (void)TRY(check_configuration(paths));
  (void)TRY(take_inherited());
  return store::Store::check(paths.database());
}

Result<store::Store> open_store(const os::Paths& paths, std::vector<std::string>& notes) {
  const int64_t now = os::real_clock().wall_ms();
  auto store = store::Store::open(paths.database(), now);
  if (!store && store.error().code == Code::corrupt) {
    const std::string aside = cat(paths.database(), ".damaged-", now);
    notes.push_back(cat(store.error().message, ": moved to ", aside,
        "; history, audit trail and replay memory start empty"));
    for (const char* suffix : {"", "-wal", "-shm"})
      if (os::real_disk().exists(paths.database() + suffix))
        TRY(os::real_disk().rename(paths.database() + suffix, aside + suffix));
    store = store::Store::open(paths.database(), now);
  }
  if (!store)
    return store;
  for (auto& line : rollout::restore_from_manifests(os::real_disk(), paths, *store, now))
    notes.push_back(std::move(line));
  for (auto& line : rollout::adopt_assets(os::real_disk(), paths, *store))
    notes.push_back(std::move(line));
  for (const auto& note : notes) {
    log::error(note);
    TRY(store->audit({0, now, "chillboxd", "restore", "", note, "ok"}));
  }
  return store;
}

Result<Fd> listen_for_edge(
    const config::HostConfig& config, const os::Paths& paths, nginx::Nginx& nginx) {
  if (paths.testing() && config.edge_test_port != 0)
    return os::listen_tcp_loopback(config.edge_test_port, k_backlog);
  const auto group = nginx.group();
  if (!group)
    log::warn(cat("nginx: ", group.error().message));
  return os::listen_unix(paths.hook_socket(), 0660,
      {os::owner_of(paths, os::k_edge_user, "").uid, group.value_or(::getegid())}, k_backlog);
}

} // namespace chillbox::daemon
