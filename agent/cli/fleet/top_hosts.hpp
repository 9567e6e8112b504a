// `top` of several hosts, drawn here: each is asked over a connection of its own, which is made
// again when it is lost.
#pragma once

#include "base/error.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/inventory.hpp"

#include <vector>

namespace chillbox::cli {

Result<int> top_of_hosts(const std::vector<Host>& hosts, const Terminal& terminal, bool once);

} // namespace chillbox::cli
