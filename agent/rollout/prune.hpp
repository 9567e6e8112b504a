// Removes what nobody needs any more: releases over the number that their site keeps, the layers
// and secret sets that only those had, artifacts that no release was made of, old rows of the
// history. It happens after the end of a job, never in its way, when an operator asks, and once at
// the start of the daemon, because a crash may have come between a job's end and this: the
// ciphertext of a replaced secret is not kept. Each removal is complete.
#pragma once

#include "rollout/host_context.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace chillbox::rollout {

struct Pruned {
  std::vector<std::string> paths;  // that are gone, or would be
  uint64_t bytes = 0, entries = 0; // what they took; hard links are counted once each
  std::set<std::string> artifacts; // that only releases which go needed
};

// Prunes one site, which may have nothing but secret sets. None of its jobs may run meanwhile,
// unless nothing is changed (dry_run). What a job that has not ended makes, goes to or came from
// stays, and so do data that change places.
Result<Pruned> prune_site(HostContext& host, const SiteName& site, bool dry_run = false);
// Removes artifacts, of all sites, that no release and no open job needs; of those whose job failed
// the newest three stay for inspection. leaving: Pruned::artifacts of a dry run, after which the
// store still has the releases.
Result<Pruned> prune_artifacts(
    HostContext& host, bool dry_run = false, const std::set<std::string>& leaving = {});
// Sites that are in the store or have a secret set on disk.
Result<std::set<SiteName>> sites_with_files(HostContext& host);
// What both would remove now.
Pruned what_would_go(HostContext& host, const SiteName& site);
// Does both, and writes the site's manifest (manifest.hpp), after a job of this site. What could
// not be removed is logged, and tried again after the next job.
void prune_after_job(HostContext& host, const SiteName& site);
// Removes the secret sets of a site but these (sha256), and what came with them.
Result<Pruned> prune_secret_sets(HostContext& host, const SiteName& site,
    const std::set<std::string>& keep, bool dry_run = false);
// Bytes of artifacts that came in and that no release was made of: what a sender alone can fill the
// disk with. By who announced them, too.
struct Unproven {
  uint64_t bytes = 0;
  std::map<std::string, uint64_t> by_actor;
};
Result<Unproven> unproven_artifacts(HostContext& host);

} // namespace chillbox::rollout
