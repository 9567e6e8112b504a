// What the processes of the monitor and of the edge run.
#pragma once

#include "os/paths.hpp"

#include <cstdint>
#include <string>

namespace chillbox::daemon {

// Its supervisor starts it again for ever and at once, however it ends: it waits for its turn
// itself, before anything that could end it. Somebody who runs it by hand does not wait.
void wait_if_supervised(const os::Paths& paths);
// Until SIGTERM. 0: asked to stop; 78 (EX_CONFIG): the configuration is wrong; 1: anything else.
int monitor_main(const os::Paths& paths, const std::string& program);
// The edge's role: 3 is the monitor's packet pair, 4 the listener; argv gives user and limit.
int edge_role(const std::string& user, uint64_t artifact_max);

} // namespace chillbox::daemon
