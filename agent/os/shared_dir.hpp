// For disk.cpp only: Disk::share_dir.
#pragma once

#include "os/disk.hpp"

#include <string>

namespace chillbox::os {

Result<void> share_directory(const std::string& top, const std::string& below, Owner owner);

} // namespace chillbox::os
