// The parts of a plan that look into releases and at what runs. Each change of a service has its
// reasons in words.
#pragma once

#include "control/json.hpp"
#include "rollout/job_context.hpp"

#include <string>

namespace chillbox::rollout {

// The services of the live release at `old_tree` and of the one at `new_tree`.
control::Json compare_services(HostContext& host, const JobContext& old,
    const std::string& old_tree, const JobContext& now, const std::string& new_tree);
// Those of the live release: what runs beside what a restart would run.
control::Json running_services(JobContext& r);
// Where the host is not as the store says: the link `current`, the live sockets, the release's
// files, the NGINX file (faults 121).
control::Json drift(JobContext& r);

} // namespace chillbox::rollout
