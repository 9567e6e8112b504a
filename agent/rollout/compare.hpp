// The parts of a plan that look into releases and at what runs. Each change of a service has its
// reasons in words.
#pragma once

#include "control/json.hpp"
#include "rollout/loaded_release.hpp"

#include <string>

namespace chillbox::rollout {

// The services of the live release, installed, and of the one whose tree this is.
control::Json compare_services(HostContext& host, const LoadedRelease& old,
    const LoadedRelease& now, const std::string& now_tree);
// The services of the live release: what runs, compared with what a restart would run.
control::Json running_services(HostContext& host, const LoadedRelease& live);
// Where the host is not as the store says: the link `current`, the live sockets, the release's
// files, the NGINX file (faults 121).
control::Json drift(HostContext& host, const LoadedRelease& live);

} // namespace chillbox::rollout
