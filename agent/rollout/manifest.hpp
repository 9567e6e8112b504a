// What the store knows of a site, once more next to its releases: /srv/chillbox/SITE/state.json. A
// store that was damaged, or that lost its last transactions, is restored from these files:
// sites, releases, what is live, secret sets, serials, holds, ports. History, audit trail and
// replay memory are not in them.
//
// One JSON object, chillbox.site-state.v1. Its revision grows with each write and is counted in the
// store first: a file with a greater one than the store has says that the store is older than the
// disk. What is counted with the change itself (commit_live, the end of a watch) needs no
// transaction of its own.
#pragma once

#include "rollout/host_context.hpp"

#include <string>
#include <vector>

namespace chillbox::rollout {

// Written again only when something else than the revision changed.
Result<void> write_manifest(HostContext& host, const SiteName& site);

// At the start, before anything is brought up. Sites whose file is newer than the store are put
// back as it says, live is where `current` points. Returns what was done, one line a site: to be
// reported loudly. A site's file that cannot be read is such a line too, when the store does not
// know the site.
std::vector<std::string> restore_from_manifests(
    os::Disk& disk, const os::Paths& paths, store::Store& store, int64_t now_ms);

} // namespace chillbox::rollout
