// Runs a verb on other machines: on one with our terminal, on several in parallel with the host's
// name before each line, or one after the other if the verb asks a person. With --json it prints a
// "chillbox.host.v1" for each host.
#pragma once

#include "base/error.hpp"
#include "cli/core/arguments.hpp"

namespace chillbox::cli {

// The exit code of all hosts, or 11 if they ended differently.
Result<int> run_on_hosts(const CommandLine& line);

} // namespace chillbox::cli
