// What was changed without a sync, before something depends on it.
#pragma once

#include "base/error.hpp"

#include <string>

namespace chillbox::os {

// Syncs the file system of `tree`, and `directory`, whose names were changed, if that is on another
// one.
Result<void> sync_with(const std::string& tree, const std::string& directory);

} // namespace chillbox::os
