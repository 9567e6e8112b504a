// A tree that was made as root's becomes another's, as a whole, before anybody else can reach it.
#pragma once

#include "base/error.hpp"
#include "os/disk.hpp"

#include <string>

namespace chillbox::os {

// `dir` and all in it, links themselves included. Nothing is followed, another file system not
// entered. The directories above it are root's alone.
Result<void> give_tree(const std::string& dir, Owner owner);

} // namespace chillbox::os
