#include "rollout/install.hpp"
#include "rollout/acquire.hpp"
#include "rollout/assets.hpp"
#include "rollout/immutable.hpp"
#include "rollout/shared_data.hpp"
#include "rollout/steps.hpp"
#include "rollout/tmpfs_release.hpp"

#include "base/text.hpp"
#include "base/unsynced.hpp"
#include "os/root_owned.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

os::Owner of(const os::User& user) {
  return {user.uid, user.gid};
}

// That of a template which keeps what it fetched: NGINX gives it to its workers.
Result<void> claim_cache(JobContext& r) {
  if (r.release.row.nginx.find("proxy_cache_path ") == std::string::npos)
    return {};
  const std::string cache = nginx_cache(r.host.paths, r.job.site),
                    all = cache.substr(0, cache.rfind('/'));
  if (!r.host.disk.exists(all))
    TRY(r.host.disk.make_dir(all, 0755));
  return claim_directory(r.host, r.job.site, cache);
}

Result<void> make_directories(JobContext& r) {
  auto& disk = r.host.disk;
  const auto& paths = r.host.paths;
  const auto& site = r.job.site;
  TRY(disk.make_dir(paths.site(site), k_traverse, root_and(r.release.user)));
  TRY(disk.make_dir(paths.releases(site), k_traverse, root_and(r.release.user)));
  TRY(disk.make_dir(paths.cache(site), 0750, root_and(r.release.user)));
  TRY(claim_directory(r.host, site, paths.data(site)));
  TRY(claim_directory(r.host, site, nginx_logs(paths, site)));
  TRY(claim_cache(r));
  const auto private_dir = [&](const std::string& dir, bool shared) {
    return shared && disk.exists(dir) ? Result<void>{} // share_data() has its mode
                                      : disk.make_dir(dir, 0700, of(r.release.user));
  };
  std::optional<config::Site> old; // NGINX still serves what it shares
  if (r.old)
    if (auto loaded = load(r.host, *r.old))
      old = std::move(loaded->site);
  TRY(private_dir(paths.data(site), shares_data(r.release.site) || (old && shares_data(*old))));
  TRY(disk.make_dir(paths.logs_of(site), 0750, {}));
  for (const auto& p : r.release.services) {
    const std::string& folder = p.service.folder();
    TRY(private_dir(paths.data(site) + "/" + folder,
        shares_data(r.release.site, folder) || (old && shares_data(*old, folder))));
  }
  return share_data(r.host, r.release);
}

} // namespace

os::Owner root_and(const os::User& user) {
  return {0, user.gid};
}

Result<os::User> site_user(HostContext& host, const SiteName& site) {
  if (!host.as_root) // tests make no users: there it is ours, under the name that it would have
    return os::User{site.str(), ::geteuid(), ::getegid(), "/"};
  return claim_user(host, site);
}

Result<void> put_tree(JobContext& r) {
  TRY(mount_release(r));
  const bool shares = r.old && r.old->id != r.release.row.id && !r.release.site.confidential;
  const os::TreeCopy how{
      .like = shares ? cat(r.host.paths.releases(r.job.site), "/", r.old->id) : "",
      .published = published_paths(r.release.services)};
  const auto copied = TRY(r.host.disk.copy_tree(
      cat(r.stage_dir(), "/", r.job.site.str()), r.release_dir(), root_and(r.release.user), how));
  if (copied != r.staged_stamp)
    return fail(Code::corrupt,
        cat("what was installed is not what was signed: ", r.stage_dir(),
            " changed after it was checked: something on this host writes there as root"));
  TRY(r.host.disk.make_dir(r.release_dir(), k_traverse, root_and(r.release.user)));
  TRY(r.host.disk.make_dir(r.release_dir() + "/.chillbox", k_traverse, root_and(r.release.user)));
  // A build may need the memory. Otherwise the tree is removed after the switch, when nobody waits.
  if (std::ranges::any_of(r.release.services, [](const auto& p) { return p.kind.builds; }))
    (void)undo_stage(r); // the end of the job tries it again
  return {};
}

namespace {

// The tree gets its final place before the build, because a virtual environment carries absolute
// paths.
Result<Next> run_install(JobContext& r) {
  r.release.user = TRY(site_user(r.host, r.job.site));
  uint64_t number;
  {
    const Unsynced later; // until the release's row, below
    TRY(make_directories(r));
    number = TRY(r.host.store.next_release_number(r.job.site));
  }
  r.release.row.id = cat(r.release.site.version->str(), "-", number);
  r.release.row.version = r.release.site.version->str();
  r.release.row.serial = r.verified->statement.serial;
  r.release.row.sha256 = r.job.sha256;
  r.release.row.signer = r.verified->signer;
  r.release.row.signer_key = r.verified->signer_key;
  r.release.row.created_ms = r.host.clock.wall_ms();
  r.release.row.state = store::ReleaseState::staged;
  if (const auto set = TRY(r.host.store.secret_set(r.job.site)))
    r.release.row.secrets = set->sha256;
  r.job.release = r.release.row.id;
  {
    const Unsynced later; // the row makes it durable with itself
    TRY(r.host.store.update_job(
        r.job)); // first, so that after a crash nobody has to guess whose the row is
  }
  TRY(r.host.store.put_release(r.release.row));
  const Unsynced later; // the step check waits for the sync of all of it
  TRY(put_tree(r));
  return Next::proceed;
}

// What is left of it is pruned, as its row is: visitors have nothing of it.
Result<void> undo_install(JobContext& r) {
  if (r.release.row.id.empty() || (r.old && r.old->id == r.release.row.id))
    return {};
  const auto removed = remove_release(r.host, r.job.site, r.release.row.id);
  (void)link_immutable(r.host, r.job.site);
  r.release.row.state = store::ReleaseState::failed;
  for (const auto& done : {removed, r.host.store.put_release(r.release.row)})
    if (!done)
      r.output(cat("left for the next prune: ", done.error().message));
  return {};
}

} // namespace

extern const Step k_install{
    .name = "install", .run = run_install, .undo = undo_install, .touches_site = false};

} // namespace chillbox::rollout
