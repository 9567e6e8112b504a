// Where the symbolic links of a release may point to. Those of an artifact were held to its own
// rules before they were installed (artifact/policy.hpp); here are the links that a build made, and
// those in what NGINX serves itself. Pure text: what is looked at is frozen, and nobody changes it
// afterwards.
#pragma once

#include "os/disk.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace chillbox::rollout {

// A relative target stays below the folder that `path` is relative to; ".." comes first only,
// where it climbs real folders.
bool stays_inside(std::string_view path, std::string_view target);
// The system's programs and libraries, which root alone changes: a virtual environment's
// interpreter is one.
bool is_of_the_system(std::string_view target);
// The first of these links, all below one folder, that leaves it; absolute ones all do. Null: none
// does.
const os::TreeLink* first_that_leaves(const std::vector<os::TreeLink>& links);

} // namespace chillbox::rollout
