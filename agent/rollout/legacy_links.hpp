// Where templates written for the original chillbox look for files: /srv/SITE/root and
// /usr/local/src/SITE/NAME/frozen, links into the live release.
#pragma once

#include "rollout/loaded_release.hpp"

namespace chillbox::rollout {

Result<void> make_legacy_links(HostContext& host, const LoadedRelease& release);
Result<void> remove_legacy_links(HostContext& host, const SiteName& site);

} // namespace chillbox::rollout
