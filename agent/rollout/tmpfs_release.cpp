#include "rollout/tmpfs_release.hpp"
#include "rollout/acquire.hpp"
#include "rollout/build.hpp"
#include "rollout/install.hpp"
#include "rollout/trust.hpp"

#include "artifact/artifact_store.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "os/mount.hpp"

#include <fcntl.h>

namespace chillbox::rollout {
namespace {

std::string dir_of(const HostContext& host, const SiteName& site, const std::string& id) {
  return cat(host.paths.releases(site), "/", id);
}

Result<void> open_own_artifact(JobContext& r) {
  const Digest digest = TRY(Digest::parse(r.release.row.sha256));
  r.artifact = Fd(::open(r.host.paths.artifact(digest).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!r.artifact)
    return fail(Code::not_found, "its files are gone, and so is its artifact: deploy it again");
  if (TRY(artifact::digest_file(r.artifact.get())).sha256 != digest)
    return fail(
        Code::corrupt, "its files are gone, and its artifact was changed on disk: deploy it again");
  return {};
}

Result<void> make_it(JobContext& r) {
  TRY(open_own_artifact(r));
  if (TRY(open_artifact_key(r)) == Next::wait_unlock)
    return fail(Code::sealed, "it is rebuilt from its artifact after `chillboxctl unlock`");
  (void)undo_stage(r); // of a daemon that is gone
  TRY(unpack(r));
  r.release.services = TRY(plan_services(r.host, r.release.site));
  r.release.user = TRY(site_user(r.host, r.job.site));
  r.release.row.digest.clear(); // in the store until it is whole again
  TRY(r.host.store.put_release(r.release.row));
  TRY(remove_release(r.host, r.job.site, r.release.row.id));
  TRY(put_tree(r));
  TRY(build_tree(r));
  return wait_for_sync(r);
}

} // namespace

std::string cache_dir(
    const HostContext& host, const config::Site& site, const std::string& release_dir) {
  return site.confidential ? release_dir + "/.chillbox/.cache" : host.paths.cache(site.slug);
}

Result<void> mount_release(JobContext& r) {
  if (!r.release.site.confidential)
    return {};
  TRY(r.host.disk.make_dir(r.release_dir(), k_traverse));
  if (r.host.paths.testing()) // tests mount nothing
    return {};
  (void)TRY(os::mount_tmpfs(r.release_dir(),
      {.size_bytes = r.host.config.stage_size,
          .mode = k_traverse,
          .allow_swap = r.host.config.allow_swap}));
  return {};
}

Result<void> unmount_release(HostContext& host, const SiteName& site, const std::string& id) {
  return host.paths.testing() ? Result<void>{} : os::unmount(dir_of(host, site, id));
}

Result<void> remove_release(HostContext& host, const SiteName& site, const std::string& id) {
  TRY(unmount_release(host, site, id));
  return host.disk.remove_tree(dir_of(host, site, id));
}

bool needs_rebuild(HostContext& host, const store::Release& release) {
  const std::string dir = dir_of(host, release.site, release.id);
  return release.digest.empty() ||
      (!host.disk.exists(cat(dir, "/", release.site.str(), ".site.json")) && host.disk.exists(dir));
}

Result<void> rebuild_release(JobContext& r) {
  if (!needs_rebuild(r.host, r.release.row))
    return {};
  TRY(check_release(r.host, r.release.row));
  auto made = make_it(r);
  (void)undo_stage(r);
  r.file_key = SecretBytes();
  if (made) {
    log::info(cat("site '", r.job.site.str(), "': release ", r.release.row.id,
        " is rebuilt from its artifact"));
    return {};
  }
  (void)remove_release(r.host, r.job.site, r.release.row.id);
  (void)r.host.disk.make_dir(r.release_dir(), k_traverse); // its place, for the next try
  return within(cat("release ", r.release.row.id), std::move(made).error());
}

} // namespace chillbox::rollout
