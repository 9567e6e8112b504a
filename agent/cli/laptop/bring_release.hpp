// A site's secrets and its release to a host, from its project in this folder, by the commands that
// a person would type.
#pragma once

#include "cli/core/verb.hpp"

#include <string>

namespace chillbox::cli {

// env: of chillbox.toml; "": none. yes: no question is asked.
Result<void> bring_release(
    Call& call, const std::string& site, const std::string& host, const std::string& env, bool yes);

} // namespace chillbox::cli
