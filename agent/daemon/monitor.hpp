// The monitor: the one privileged process. It owns the sockets, the store and the children, runs
// the loop that serves the edge and the control socket, and hands jobs to the engine. It has no
// network.
#pragma once

#include "config/host.hpp"
#include "os/paths.hpp"

#include <cstdint>

namespace chillbox::daemon {

// Reads and checks everything that a start needs: the configuration, the senders' keys, the trusted
// keys. `chillboxd --check` prints it.
Result<config::HostConfig> check_configuration(const os::Paths& paths);
// All that is known before a start to make it fail: the configuration, a database of a newer
// program, another format of what an upgrade hands on.
Result<void> check_start(const os::Paths& paths);

// Until SIGTERM. 0: asked to stop; 78 (EX_CONFIG): the configuration is wrong; 1: anything else.
int monitor_main(const os::Paths& paths, const std::string& program);
// The edge's role: 3 is the monitor's packet pair, 4 the listener; argv gives user and limit.
int edge_role(const std::string& user, uint64_t artifact_max);

} // namespace chillbox::daemon
