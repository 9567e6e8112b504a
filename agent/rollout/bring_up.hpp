// Makes live what the store says is live: after a boot, a restart of the daemon, an unlock. /run is
// empty then, and SQLite is the truth. Repeating it changes nothing that is right already.
#pragma once

#include "rollout/host_context.hpp"
#include "rollout/job_control.hpp"

#include <string>
#include <vector>

namespace chillbox::rollout {

struct BroughtUp {
  std::string release;              // "" : the site has no live release, or is stopped
  bool started = false;             // not all of it ran before
  std::vector<std::string> waiting; // secrets that are not loaded: "SERVICE/FILE"
};
// Loads the secrets when the vault is open, then sets links, slots, NGINX file and sealed flag.
// keep_other_slot: a job of this site continues and may need the slot that is not live. denied:
// no trusted key vouches for it any more (trust.hpp); what runs since the boot is left alone
// then.
Result<BroughtUp> bring_up(
    HostContext& host, const SiteName& site, bool keep_other_slot, JobControl& control);
Result<BroughtUp> bring_up(HostContext& host, const SiteName& site, bool keep_other_slot);

} // namespace chillbox::rollout
