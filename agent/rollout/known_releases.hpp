// Live releases as they were last read, for `status`, which asks for all of them again and again. A
// job reads what it acts on anew.
#pragma once

#include "rollout/loaded_release.hpp"

namespace chillbox::rollout {

// As load(), and as fresh: what is kept counts while the site file and the kinds of the release's
// services are the very files that were read, by device, inode, size and times.
Result<LoadedRelease> load_known(HostContext& host, store::Release row);

} // namespace chillbox::rollout
