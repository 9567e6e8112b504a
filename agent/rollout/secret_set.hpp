// Secret sets in tmpfs.
#pragma once

#include "rollout/host_context.hpp"

#include <string>
#include <string_view>

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
inline constexpr std::string_view k_send_secrets =
    "`chillboxctl secrets push -H HOST` sends those of a project, `chillboxctl secrets pack` and "
    "`deploy` those of a folder";
// Why the set in use could not be loaded again: it is for another key. "": it can, or what is live
// needs none.
std::string unopened_set(HostContext& host, const SiteName& site);
// What to do about a file that is for another key than the vault's, whose error that is.
std::string other_key_remedy(HostContext& host, const Error& error);

} // namespace chillbox::rollout
