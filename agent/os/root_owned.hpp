// What only root can change is what root said: a deployer's key, a sender's key and a hook of the
// administrator are used only when nobody else could have written them. One check for all three. In
// tests the user who runs them takes the place of root.
#pragma once

#include "base/error.hpp"
#include "os/paths.hpp"

#include <string>
#include <string_view>

namespace chillbox::os {

// Looks at `top`, at each step of `below` ("handlers/x-go"; "" : top alone) and, when that is a
// directory, at everything in it. Each must be a regular file or a directory, owned by root and not
// writable by group or others. denied: names the first that is not, and what to do; not_found.
Result<void> check_root_owned(const std::string& top, std::string_view below = "");

// What makes and removes users and groups (user-add, user-remove, group-add): always the shipped
// program, also where hooks.d has one of that name.
std::string host_hook(const Paths& paths, std::string_view name);

} // namespace chillbox::os
