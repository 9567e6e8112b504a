#include "rollout/prune.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "base/unsynced.hpp"
#include "rollout/assets.hpp"
#include "rollout/data_exchange.hpp"
#include "rollout/immutable.hpp"
#include "rollout/manifest.hpp"
#include "rollout/order.hpp"
#include "rollout/secret_set.hpp"
#include "rollout/snapshots.hpp"
#include "rollout/tmpfs_release.hpp"

#include <algorithm>
#include <iterator>

namespace chillbox::rollout {
namespace {

// Removes, or only says what it would remove.
class Pruner {
public:
  Pruner(os::Disk& disk, bool dry_run) : m_disk(disk), m_dry_run(dry_run) {}

  Result<void> file(const std::string& path) {
    if (!m_disk.exists(path))
      return {};
    note(path, {.freed_bytes = m_disk.size(path), .freed_entries = 1});
    return m_dry_run ? Result<void>{} : m_disk.remove(path);
  }
  Result<void> tree(const std::string& path) {
    if (!m_disk.exists(path))
      return {};
    note(path, m_disk.measure(path).value_or(os::TreeSize{}));
    return m_dry_run ? Result<void>{} : m_disk.remove_tree(path);
  }
  Pruned done() { return std::move(m_pruned); }

private:
  void note(const std::string& path, const os::TreeSize& size) {
    m_pruned.paths.push_back(path);
    m_pruned.bytes += size.freed_bytes;
    m_pruned.entries += size.freed_entries;
  }
  os::Disk& m_disk;
  bool m_dry_run;
  Pruned m_pruned;
};

void add(Pruned& to, Pruned more) {
  to.paths.insert(to.paths.end(), std::make_move_iterator(more.paths.begin()),
      std::make_move_iterator(more.paths.end()));
  to.bytes += more.bytes;
  to.entries += more.entries;
  to.artifacts.merge(more.artifacts);
}

// As the live release says, else the host.
uint32_t releases_to_keep(HostContext& host, const SiteName& site, const std::string& live) {
  const auto parsed = read_site(host.disk, cat(host.paths.releases(site), "/", live), site);
  return (parsed ? parsed->keep_releases : std::nullopt).value_or(host.config.keep_releases);
}

// In memory, and a boot took it: until it is made again nobody knows how many its site keeps, nor
// which layers and links it uses.
Result<bool> live_needs_rebuild(HostContext& host, const store::SiteRow& row) {
  const auto live = TRY(live_row(host, row));
  return live && needs_rebuild(host, *live);
}

void note_layers(HostContext& host, const std::string& release_dir, std::set<std::string>& layers) {
  for (const auto& service :
      host.disk.list(release_dir + "/.chillbox").value_or(std::vector<std::string>{}))
    if (const auto layer = host.disk.read_link(cat(release_dir, "/.chillbox/", service, "/layer"));
        layer && *layer)
      layers.insert((*layer)->substr((*layer)->rfind('/') + 1));
}

Result<void> remove_releases(HostContext& host, const SiteName& site,
    std::vector<store::Release> leaving, Pruner& pruner, bool dry_run) {
  std::set<std::string> ids;
  for (const auto& release : leaving)
    ids.insert(release.id);
  if (!dry_run)
    TRY(link_immutable(
        host, site, ids)); // first, because what stays may share files with what goes
  for (auto& release : leaving) {
    if (!dry_run)
      TRY(unmount_release(host, site, release.id));
    TRY(pruner.tree(host.paths.releases(site) + "/" + release.id));
    const bool left = release.state == store::ReleaseState::staged; // by a job that is gone
    if ((is_kept(release.state) || left) && !dry_run) {
      release.state = store::ReleaseState::removed;
      TRY(host.store.put_release(release));
    }
  }
  return {};
}

struct SetName {
  SiteName site;
  Digest sha256;
};

// SITE-SHA256.age
std::optional<SetName> parse_set_name(std::string_view name) {
  constexpr std::string_view k_ending = ".age";
  const size_t dash = name.rfind('-');
  if (dash == std::string_view::npos || !name.ends_with(k_ending))
    return std::nullopt;
  const auto site = SiteName::parse(name.substr(0, dash));
  const auto digest =
      Digest::parse(name.substr(dash + 1, name.size() - dash - 1 - k_ending.size()));
  return site && digest ? std::optional(SetName{*site, *digest}) : std::nullopt;
}

// A signature that was uploaded for a job, which has ended and will not be retried with it.
Result<bool> is_left(HostContext& host, std::string_view file_name) {
  constexpr std::string_view k_mark = ".minisig.";
  const auto at = file_name.find(k_mark);
  const std::string id(at == std::string_view::npos ? "" : file_name.substr(at + k_mark.size()));
  if (id.empty() || id == "refused")
    return false;
  const auto job = TRY(host.store.job(id));
  return !job || (!store::is_open(job->state) && job->state != store::JobState::failed);
}

std::string digest_of(std::string_view file_name) {
  return std::string(file_name.substr(0, file_name.find('.')));
}

} // namespace

// Releases that were good, newest first: the live one, the one before and as many as the site keeps
// stay; the newest rows of the others stay as history.
Result<Pruned> prune_site(HostContext& host, const SiteName& site, bool dry_run) {
  const auto known = TRY(host.store.site(site));
  if (!known && host.disk.exists(host.paths.site(site)))
    return Pruned{}; // a store that lost it: its secret set is what it comes back with
  const auto row =
      known.value_or(store::SiteRow{.site = site}); // secrets may come before the first release
  Pruner pruner(host.disk, dry_run);
  const bool asleep = TRY(live_needs_rebuild(host, row));
  const uint32_t keep = releases_to_keep(host, site, row.live);
  uint32_t kept = 0;
  std::set<std::string> layers;
  std::set<std::string> sets, kept_ids, kept_artifacts, left_artifacts;
  std::vector<store::Release> leaving;
  const auto withdrawn = TRY(host.store.withdrawn(site));
  std::set<std::string> in_use; // by jobs and commands that run
  KeptSnapshots snapshots{
      .keep = std::max(keep, 1U), .exchanged = TRY(moving_snapshot(host, site))};
  for (const auto& job : TRY(host.store.unfinished()))
    if (job.site == site) {
      in_use.insert(job.previous); // its way back
      in_use.insert(job.release);  // what it makes or goes to
      snapshots.unfinished = snapshots.unfinished || job.state == store::JobState::running;
    }
  if (const auto current = TRY(host.disk.read_link(host.paths.current(site)))) // visitors' now
    in_use.insert(current->substr(current->rfind('/') + 1));
  for (const auto& run : TRY(host.store.open_cron_runs()))
    if (run.site == site)
      in_use.insert(run.release);
  for (auto& release : TRY(host.store.present_releases(site))) {
    const bool never = !asleep && release.id != row.live &&
        std::ranges::any_of(withdrawn, [&](const auto& w) { return w.sha256 == release.sha256; });
    const bool needed = asleep || release.id == row.live || release.id == row.previous_good ||
        in_use.contains(release.id);
    const bool made = release.state == store::ReleaseState::staged && in_use.contains(release.id);
    if (made || (is_kept(release.state) && !never && (needed || kept < keep))) {
      kept += made ? 0 : 1;
      kept_ids.insert(release.id);
      kept_artifacts.insert(release.sha256);
      sets.insert(release.secrets);
      note_layers(host, host.paths.releases(site) + "/" + release.id, layers);
      continue;
    }
    if (!asleep)
      left_artifacts.insert(release.sha256);
    leaving.push_back(std::move(release));
  }
  if (!asleep)
    TRY(remove_releases(host, site, std::move(leaving), pruner, dry_run));
  for (const auto& layer : TRY(host.disk.list(host.paths.cache(site))))
    if (!asleep && !layers.contains(layer))
      TRY(pruner.tree(host.paths.cache(site) + "/" + layer));
  snapshots.releases = std::move(kept_ids);
  for (const auto& snapshot : old_snapshots(host, site, snapshots))
    TRY(pruner.tree(snapshot));
  if (const auto set = TRY(host.store.secret_set(site)))
    sets.insert(set->sha256);
  Pruned pruned = pruner.done();
  std::ranges::set_difference(
      left_artifacts, kept_artifacts, std::inserter(pruned.artifacts, pruned.artifacts.end()));
  add(pruned, TRY(prune_secret_sets(host, site, sets, dry_run)));
  if (dry_run)
    return pruned;
  TRY(host.store.forget_old_releases(site));
  TRY(host.store.forget_old_output());
  return pruned;
}

Result<Pruned> prune_secret_sets(
    HostContext& host, const SiteName& site, const std::set<std::string>& keep, bool dry_run) {
  const ArtifactHolds::Pruning pruning(host.artifact_holds);
  std::set<std::string>
      open; // of a job that a crash or a seal interrupted: it takes its upload up again
  for (const auto& job : TRY(host.store.unfinished()))
    open.insert(job.sha256);
  Pruner pruner(host.disk, dry_run);
  for (const auto& name : TRY(host.disk.list(host.paths.secret_sets()))) {
    const auto set = parse_set_name(name);
    if (!set || set->site != site || keep.contains(set->sha256.str()) ||
        open.contains(set->sha256.str()) || pruning.is_held(set->sha256.str()))
      continue;
    TRY(pruner.file(host.paths.secret_sets() + "/" + name));
    TRY(pruner.file(host.paths.artifact(set->sha256)));
    TRY(pruner.file(host.paths.artifact_signature(set->sha256)));
  }
  return pruner.done();
}

// Of artifacts that were refused the newest few stay for inspection: who can only send webhooks
// must not be able to fill the disk.
Result<Pruned> prune_artifacts(
    HostContext& host, bool dry_run, const std::set<std::string>& leaving) {
  constexpr size_t k_refused_kept = 3;
  constexpr size_t k_jobs_looked_at = 200;
  const ArtifactHolds::Pruning pruning(host.artifact_holds);
  const auto there = TRY(host.disk.list(host.paths
          .artifacts())); // first: what comes meanwhile has a job that is not looked at any more
  auto needed = TRY(host.store.needed_artifacts());
  for (const auto& digest : leaving)
    if (dry_run) // else the store says it, of what came back meanwhile, too
      needed.erase(digest);
  for (const auto& site : TRY(ordered_sites(host))) // of rollouts that this host has yet to walk
    if (const auto file = read_order_file(host, site); file && *file && !(*file)->walked.ended)
      needed.insert((*file)->taken.order.sha256);
  for (const auto& job : TRY(host.store.unfinished()))
    needed.insert(job.sha256);
  size_t refused = 0;
  for (const auto& job : TRY(host.store.jobs("", k_jobs_looked_at)))
    if (job.state == store::JobState::failed && !needed.contains(job.sha256) &&
        refused++ < k_refused_kept)
      needed.insert(job.sha256);
  Pruner pruner(host.disk, dry_run);
  for (const auto& name : there)
    if (!name.starts_with('.') && !pruning.is_held(digest_of(name)) &&
        (!needed.contains(digest_of(name)) ||
            TRY(is_left(host, name)))) // a dot first: a copy under way
      TRY(pruner.file(host.paths.artifacts() + "/" + name));
  return pruner.done();
}

Result<std::set<SiteName>> sites_with_files(HostContext& host) {
  std::set<SiteName> sites;
  for (const auto& row : TRY(host.store.sites()))
    sites.insert(row.site);
  for (const auto& name : TRY(host.disk.list(host.paths.secret_sets())))
    if (const auto set = parse_set_name(name))
      sites.insert(set->site);
  return sites;
}

Pruned what_would_go(HostContext& host, const SiteName& site) {
  Pruned all;
  if (auto part = prune_site(host, site, true))
    add(all, std::move(*part));
  if (auto part = prune_artifacts(host, true, all.artifacts))
    add(all, std::move(*part));
  return all;
}

void prune_after_job(HostContext& host, const SiteName& site) {
  if (auto forgotten = forget_missing(host, site); !forgotten)
    log::warn(cat("site '", site.str(), "': ", forgotten.error().message));
  if (auto written = write_manifest(host, site); !written)
    log::warn(cat("site '", site.str(), "': ", written.error().message));
  if (auto settled = settle_snapshots(host, site); !settled)
    log::warn(cat("site '", site.str(), "': ", settled.error().message));
  const Unsynced later; // what comes back goes after the next job, or the next start
  const auto site_done = prune_site(host, site);
  const auto host_done = prune_artifacts(host);
  for (const auto* done : {&site_done, &host_done})
    if (!*done)
      log::warn(cat("site '", site.str(),
          "': what is old stays until the next job: ", done->error().message));
    else if (!(*done)->paths.empty())
      log::info(cat("site '", site.str(), "': pruned ", (*done)->paths.size(), ", ",
          human_size((*done)->bytes)));
}

Result<Unproven> unproven_artifacts(HostContext& host) {
  const auto proven = TRY(host.store.needed_artifacts());
  std::map<std::string, uint64_t> sizes; // by digest: artifact and signature together
  for (const auto& name : TRY(host.disk.list(host.paths.artifacts())))
    if (!proven.contains(digest_of(name)))
      sizes[digest_of(name)] += host.disk.size(host.paths.artifacts() + "/" + name);
  Unproven unproven;
  for (const auto& [digest, size] : sizes) {
    unproven.bytes += size;
    if (const auto actor = TRY(host.store.announced_by(digest)); !actor.empty())
      unproven.by_actor[actor] += size;
  }
  return unproven;
}

} // namespace chillbox::rollout
