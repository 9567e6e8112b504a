// Secret sets in tmpfs.
#pragma once

#include "rollout/host_context.hpp"

#include <string>

namespace chillbox::rollout {

// Where the encrypted set of this digest is kept.
std::string secret_set_path(
    const HostContext& host, const SiteName& site, const std::string& sha256);
// Loads the secret set of this digest into tmpfs; "" wipes. sealed when the vault is closed.
Result<void> load_secret_set(HostContext& host, const SiteName& site, const std::string& sha256);
// Loads the site's own set when nothing is loaded and the vault is open.
Result<void> load_current_set(HostContext& host, const SiteName& site);
// What to do so that the site's secrets are there: unlock, or send a set that this host can open.
std::string secrets_remedy(HostContext& host, const SiteName& site);

} // namespace chillbox::rollout
