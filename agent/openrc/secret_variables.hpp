// The variables of a secret file (`secrets_env`), for what is about to be started: they go to its
// environment and nowhere else. Only its user and root can read that (proc(5), environ).
#pragma once

#include "base/error.hpp"

#include <string>
#include <utility>
#include <vector>

namespace chillbox::openrc {

// Adds them, in place of others of the same name; "" adds none. The message names the file, the
// line and no value. sealed: it is missing.
Result<void> add_secret_variables(
    const std::string& path, std::vector<std::pair<std::string, std::string>>& environment);

} // namespace chillbox::openrc
