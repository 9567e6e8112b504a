// The copies of a release's services: started, asked, drained and stopped.
#pragma once

#include "rollout/job_context.hpp"

#include <functional>
#include <string>
#include <vector>

namespace chillbox::rollout {

// The directory of the site's sockets: root's, as all in it. A link in it is none of the agent's
// and goes.
Result<void> make_socket_dir(HostContext& host, const SiteName& site);
// Starts every service and worker of the release in its slot, without those in `skip`. What runs
// already is left alone.
Result<void> start_slots(
    HostContext& host, const LoadedRelease& release, const std::vector<std::string>& skip);
// Stops what runs of the site in this slot; in both, with its Redis, when it is none. Each copy has
// its stop_timeout, until somebody is in a hurry.
Result<void> stop_slots(
    HostContext& host, const SiteName& site, Slot slot, const std::function<bool()>& hurry = {});
// Waits until no connection waits to be accepted by this slot, 10 s at most. What it accepted it
// finishes after TERM.
void drain(JobContext& r, Slot slot, os::Millis without_visitors = {});
// Copies of a release that is given up. They had no visitors before the switch, so they have
// nothing to finish and little time for it, and with stop-first the site is away until they are
// gone; a worker may have taken something from a queue.
Result<void> stop_undone(JobContext& r, const std::vector<openrc::SlotName>& names);

// ": what its log says that went wrong", as far as a line of it looks like that.
std::string error_since_start(JobContext& r, const PlannedService& p);
// Copies what the new copies wrote since they were started, once, into the job's log and the
// release's row.
void keep_last_lines(JobContext& r);

} // namespace chillbox::rollout
