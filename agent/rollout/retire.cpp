#include "rollout/steps.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <set>

namespace chillbox::rollout {
namespace {

// Encrypted as they came, and of no use to anybody any more: all of the site's but these.
Result<void> prune_secret_sets(World& world, const SiteName& site, const std::set<std::string>& keep) {
  constexpr std::string_view k_ending = ".age";
  const std::string beginning = site.str() + "-";
  for (const auto& name : TRY(world.disk.list(world.paths.secret_sets()))) {
    if (!name.starts_with(beginning) || !name.ends_with(k_ending))
      continue;
    const auto digest = Digest::parse(std::string_view(name).substr(beginning.size(), name.size() - beginning.size() - k_ending.size()));
    if (!digest || keep.contains(digest->str()))
      continue; // of a site whose name begins alike, or in use
    TRY(world.disk.remove(world.paths.secret_sets() + "/" + name));
    TRY(world.disk.remove(world.paths.artifact(*digest)));
    TRY(world.disk.remove(world.paths.artifact_signature(*digest)));
  }
  return {};
}

Result<void> remove_releases(Rollout& r, std::vector<store::Release> leaving) {
  std::set<std::string> ids;
  for (const auto& release : leaving)
    ids.insert(release.id);
  TRY(link_immutable(r.world, r.job.site, ids)); // first, because what stays may share files with what goes
  for (auto& release : leaving) {
    const std::string dir = r.world.paths.releases(r.job.site) + "/" + release.id;
    if (r.world.disk.exists(dir))
      TRY(r.world.disk.remove_tree(dir));
    if (release.state == store::ReleaseState::good) {
      release.state = store::ReleaseState::removed;
      TRY(r.world.store.put_release(release));
    }
  }
  return {};
}

// Releases that were good, newest first: the live one, the one before and as many as the site keeps stay; rows of failed ones stay as history.
Result<void> prune_releases(Rollout& r) {
  const auto row = TRY(r.world.store.site(r.job.site));
  const uint32_t keep = r.site.keep_releases.value_or(r.world.config.keep_releases);
  uint32_t kept = 0;
  std::set<std::string> layers;
  std::set<std::string> sets;
  std::vector<store::Release> leaving;
  for (auto& release : TRY(r.world.store.releases(r.job.site))) {
    const std::string dir = r.world.paths.releases(r.job.site) + "/" + release.id;
    const bool needed = row && (release.id == row->live || release.id == row->previous_good);
    if (release.state == store::ReleaseState::good && (needed || kept < keep)) {
      ++kept;
      sets.insert(release.secrets);
      for (const auto& service : r.world.disk.list(dir + "/.chillbox").value_or(std::vector<std::string>{}))
        if (const auto layer = r.world.disk.read_link(cat(dir, "/.chillbox/", service, "/layer")); layer && *layer)
          layers.insert((*layer)->substr((*layer)->rfind('/') + 1));
      continue;
    }
    leaving.push_back(std::move(release));
  }
  TRY(remove_releases(r, std::move(leaving)));
  if (const auto set = TRY(r.world.store.secret_set(r.job.site)))
    sets.insert(set->sha256);
  for (const auto& layer : TRY(r.world.disk.list(r.world.paths.cache(r.job.site))))
    if (!layers.contains(layer))
      TRY(r.world.disk.remove_tree(r.world.paths.cache(r.job.site) + "/" + layer));
  return prune_secret_sets(r.world, r.job.site, sets);
}

// What waits for an upload or the unlock since before the removal would bring the site back.
Result<void> cancel_waiting(Rollout& r) {
  for (auto& job : TRY(r.world.store.unfinished())) {
    if (job.id == r.job.id)
      break; // oldest first: what comes now was asked for later
    if (job.site != r.job.site)
      continue;
    job.state = store::JobState::cancelled;
    job.code = Code::interrupted;
    job.message = cat("the site was removed by ", r.job.id);
    job.finished_ms = r.world.clock.wall_ms();
    TRY(r.world.store.finish_job(job, job.message));
    r.world.changed(job.id);
  }
  return {};
}

} // namespace

// Of artifacts that were refused the newest few stay for inspection: who can only send webhooks must not be able to fill the disk.
Result<void> prune_artifacts(World& world) {
  constexpr size_t k_refused_kept = 3;
  constexpr size_t k_jobs_looked_at = 200;
  const auto there = TRY(world.disk.list(world.paths.artifacts())); // first: what comes meanwhile has a job that is not looked at any more
  std::set<std::string> needed;
  for (const auto& row : TRY(world.store.sites()))
    for (const auto& release : TRY(world.store.releases(row.site)))
      if (release.state == store::ReleaseState::good || release.state == store::ReleaseState::staged)
        needed.insert(release.sha256);
  for (const auto& job : TRY(world.store.unfinished()))
    needed.insert(job.sha256);
  size_t refused = 0;
  for (const auto& job : TRY(world.store.jobs("", k_jobs_looked_at)))
    if (job.state == store::JobState::failed && !needed.contains(job.sha256) && refused++ < k_refused_kept)
      needed.insert(job.sha256);
  for (const auto& name : there)
    if (!name.starts_with('.') && !needed.contains(name.substr(0, name.find('.')))) // a dot first: a copy under way
      TRY(world.disk.remove(world.paths.artifacts() + "/" + name));
  return {};
}

// A job that cut the watch short decides itself what happens to the slot that is still warm.
Result<Next> run_retire(Rollout& r) {
  if (r.signals.watch_is_cut())
    return Next::go_on;
  const std::string idle = other_slot(r.release.slot);
  bool any = false;
  for (const auto& name : r.world.slots.all())
    any = any || (name.site == r.job.site && name.slot == idle);
  if (any) {
    drain(r, idle);
    if (auto stopped = stop_slots(r.world, r.job.site, idle); !stopped)
      r.output(cat("the old slot did not stop, the next deploy tries again: ", stopped.error().message));
  }
  if (auto pruned = prune_releases(r); !pruned)
    r.output(cat("old releases stay until the next deploy: ", pruned.error().message));
  if (auto pruned = prune_artifacts(r.world); !pruned)
    r.output(cat("old artifacts stay until the next deploy: ", pruned.error().message));
  return Next::go_on;
}

Result<Next> run_remove(Rollout& r) {
  auto& disk = r.world.disk;
  const auto& paths = r.world.paths;
  if (!TRY(r.world.store.site(r.job.site))) {
    if (r.job.previous.empty())
      return fail(Code::not_found, cat("no site '", r.job.site.str(), "' on this host"));
    r.job.message = "removed"; // by this very job, before the daemon was restarted
    return Next::finished;
  }
  if (!TRY(r.world.nginx.installed(r.job.site)).empty()) {
    TRY(r.world.nginx.install(r.job.site, ""));
    TRY(r.world.nginx.reload());
  }
  TRY(stop_slots(r.world, r.job.site, ""));
  TRY(secrets::wipe_secrets(paths, r.job.site));
  TRY(set_sealed_flag(r.world, r.job.site, false));
  TRY(unlink_compatible(r.world, r.job.site));
  for (const auto& release : TRY(r.world.store.releases(r.job.site)))
    if (const auto digest = Digest::parse(release.sha256)) {
      TRY(disk.remove(paths.artifact(*digest)));
      TRY(disk.remove(paths.artifact_signature(*digest)));
    }
  for (const auto& dir : {paths.live(r.job.site), paths.slots_of(r.job.site), paths.site(r.job.site)})
    TRY(disk.remove_tree(dir));
  TRY(prune_secret_sets(r.world, r.job.site, {}));
  const bool purge = r.allows("purge");
  if (purge) {
    for (const auto& dir : {paths.data(r.job.site), paths.logs_of(r.job.site)})
      TRY(disk.remove_tree(dir));
    if (r.world.stager && os::find_user(r.job.site.str())) {
      os::Command c;
      c.argv = {paths.shipped_hooks() + "/host/user-remove", r.job.site.str()};
      const auto exit = TRY(r.world.runner.run(c));
      if (!exit.ok())
        return fail(Code::failure, cat("remove user '", r.job.site.str(), "': ", printable(trim(exit.err))));
    }
  }
  TRY(cancel_waiting(r));
  TRY(r.world.store.delete_site(r.job.site));
  r.job.message = purge ? "removed with its data" : cat("removed; its data stays in ", paths.data(r.job.site));
  return Next::finished;
}

} // namespace chillbox::rollout
