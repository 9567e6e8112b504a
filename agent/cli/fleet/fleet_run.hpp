// A verb of the host that is run on other machines: one with our terminal, several side by side
// with each line under its host's name, or one after the other when each asks a person. With --json
// an object "chillbox.host.v1" for each host.
#pragma once

#include "base/error.hpp"
#include "cli/core/arguments.hpp"

namespace chillbox::cli {

// The exit code: that of all, or 11 when hosts ended differently.
Result<int> run_on_hosts(const CommandLine& line);

} // namespace chillbox::cli
