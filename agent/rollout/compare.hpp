// The parts of a plan that look into releases and at what runs. Each change of a service has its
// reasons in words.
#pragma once

#include "control/json.hpp"
#include "rollout/rollout.hpp"

#include <string>

namespace chillbox::rollout {

// The services of the live release at `old_tree` and of the one at `new_tree`.
control::Json compare_services(World& world, const Rollout& old, const std::string& old_tree,
    const Rollout& now, const std::string& new_tree);
// Those of the live release: what runs beside what a restart would run.
control::Json running_services(Rollout& r);
// Where the host is not as the store says: the link `current`, the live sockets, the release's
// files, the NGINX file (faults 121).
control::Json drift(Rollout& r);

} // namespace chillbox::rollout
