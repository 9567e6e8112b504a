// A directory whose names were changed without a sync, before something that depends on them.
#pragma once

#include "base/error.hpp"

#include <string>

namespace chillbox::os {

// Syncs it, unless it is on the file system of `frozen`, all of which Disk::freeze_tree has synced.
Result<void> synced_with(const std::string& frozen, const std::string& directory);

} // namespace chillbox::os
