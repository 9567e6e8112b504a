#include "rollout/retire.hpp"
#include "nginx/counts.hpp"
#include "rollout/assets.hpp"
#include "rollout/legacy_links.hpp"
#include "rollout/prune.hpp"
#include "rollout/redis.hpp"
#include "rollout/slots.hpp"
#include "rollout/snapshots.hpp"
#include "rollout/steps.hpp"
#include "rollout/switch_traffic.hpp"
#include "rollout/tmpfs_release.hpp"
#include "secrets/load.hpp"
#include "store/notices.hpp"

#include "base/text.hpp"
#include "base/unsynced.hpp"
#include "cron/task.hpp"
#include "nginx/counts.hpp"
#include "os/root_owned.hpp"

namespace chillbox::rollout {
namespace {

// What waits for an upload or the unlock since before the removal would bring the site back.
Result<void> cancel_waiting(JobContext& r) {
  for (auto& job : TRY(r.host.store.unfinished())) {
    if (job.id == r.job.id)
      break; // oldest first: what comes now was asked for later
    if (job.site != r.job.site)
      continue;
    job.state = store::JobState::cancelled;
    job.code = Code::interrupted;
    job.message = cat("the site was removed by ", r.job.id);
    job.finished_ms = r.host.clock.wall_ms();
    TRY(r.host.store.finish_job(job, job.message));
    r.host.changed(job.id);
  }
  return {};
}

} // namespace

void retire_old_slot(JobContext& r) {
  if (r.control.watch_is_cut() || !r.has_old_slot)
    return;
  const Slot idle = other_slot(r.release.row.slot);
  bool any = false;
  for (const auto& name : r.host.slots.all())
    any = any || (name.site == r.job.site && name.slot == idle && !is_redis(name));
  if (any) {
    drain(r, idle);
    const Unsynced later; // a boot stops what is in the other slot, which removes its files again
    r.control.turn().retires();
    if (auto stopped = stop_slots(r.host, r.job.site, idle, [&r] { return r.control.hurried(); });
        !stopped)
      r.output(
          cat("the old slot did not stop, the next deploy tries again: ", stopped.error().message));
  }
  if (!r.release.site.has_redis)
    if (auto stopped = stop_redis(r.host, r.job.site); !stopped)
      r.output(cat(
          "the site's Redis did not stop, the next deploy tries again: ", stopped.error().message));
}

namespace {

Result<Next> run_retire(JobContext& r) {
  retire_old_slot(r);
  return Next::proceed;
}

Result<Next> run_remove(JobContext& r) {
  auto& disk = r.host.disk;
  const auto& paths = r.host.paths;
  if (!TRY(r.host.store.site(r.job.site))) {
    if (!r.job.previous.empty()) {
      r.job.message = "removed"; // by this very job, before the daemon was restarted
      return Next::finished;
    }
    if (!TRY(store::Notices(r.host.store).is_open(store::k_deploy_failed, r.job.site)))
      return fail(Code::not_found, cat("no site '", r.job.site.str(), "' on this host"));
  } // else what its first deploys left, which all failed
  // Each also of a removal that failed or was interrupted after the one before.
  if (!TRY(r.host.nginx.installed(r.job.site)).empty())
    TRY(r.host.nginx.install(r.job.site, ""));
  TRY(r.host.nginx.reload());
  TRY(remove_directory(r.host, r.job.site, nginx_cache(paths, r.job.site)));
  TRY(disk.remove(nginx::answers_log(paths, r.job.site)));
  nginx::counts(paths).forget(r.job.site);
  TRY(stop_slots(r.host, r.job.site, Slot::none));
  TRY(stop_redis(r.host, r.job.site)); // its link
  TRY(cron::Tasks(disk, r.host.clock, paths).kill_all(r.job.site));
  TRY(secrets::wipe_secrets(paths, r.job.site));
  TRY(set_sealed_flag(r.host, r.job.site, false));
  TRY(remove_legacy_links(r.host, r.job.site));
  for (const auto& release : TRY(r.host.store.releases(r.job.site)))
    if (const auto digest = Digest::parse(release.sha256)) {
      TRY(disk.remove(paths.artifact(*digest)));
      TRY(disk.remove(paths.artifact_signature(*digest)));
    }
  for (const auto& id : TRY(disk.list(paths.releases(r.job.site))))
    TRY(unmount_release(r.host, r.job.site, id));
  for (const auto& dir :
      {paths.live(r.job.site), paths.slots_of(r.job.site), paths.site(r.job.site)})
    TRY(disk.remove_tree(dir));
  TRY(remove_snapshots(r.host, r.job.site)); // no release is left to go back to with them
  (void)TRY(prune_secret_sets(r.host, r.job.site, {})); // nothing is left that needs one
  const bool purge = r.job.options.purge;
  if (purge) {
    TRY(disk.remove_tree(paths.logs_of(r.job.site)));
    for (const auto& path : TRY(remove_directories(r.host, r.job.site)))
      r.info(cat(path, " stays: it was changed since it was made for the site"));
    TRY(remove_user(r.host, r.job.site));
  }
  TRY(forget_missing(r.host, r.job.site));
  TRY(cancel_waiting(r));
  TRY(r.host.store.delete_site(r.job.site, r.host.clock.wall_ms()));
  r.job.message = purge
      ? "removed with its data"
      : cat("removed; its data stays in ", paths.data(r.job.site), ", its secrets are deleted");
  return Next::finished;
}

} // namespace

extern const Step k_retire{.name = "retire", .run = run_retire, .phase = Step::Phase::after_commit};
extern const Step k_remove{
    .name = "remove", .run = run_remove, .ends_watch = true, .recorded_first = true};

} // namespace chillbox::rollout
