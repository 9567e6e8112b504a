// What a command line leaves out and the project or the laptop knows: the site of the project that
// it is run in, and the host of a verb that runs on one. On a host itself nothing is added: what is
// meant is that host.
#pragma once

#include "base/error.hpp"
#include "cli/core/arguments.hpp"

namespace chillbox::cli {

// usage: SITE is required and no project is here, or which of several hosts is meant.
Result<void> fill_defaults(CommandLine& line);

} // namespace chillbox::cli
