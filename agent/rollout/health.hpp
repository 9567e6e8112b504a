// What a release's services answer: to their health checks, and to a visitor.
#pragma once

#include "os/probe.hpp"
#include "rollout/job_context.hpp"

#include <span>
#include <string>
#include <vector>

namespace chillbox::rollout {

// A GET as NGINX passes one of a visitor on, to the service's own socket or port.
Result<os::ProbeAnswer> ask_service(HostContext& host, const LoadedRelease& release,
    const PlannedService& p, const std::string& path);
// One health check of one service. unhealthy: it did not answer well.
Result<void> probe_service(
    HostContext& host, const LoadedRelease& release, const PlannedService& p);
// Waits until one is good, health.deadline at most.
Result<void> wait_for_probe(
    HostContext& host, JobControl& control, const LoadedRelease& release, const PlannedService& p);
// Waits until the new copy answers health.count times in a row, then says what a visitor gets, with
// a warning if that is nothing good. unhealthy: it crashes, health.deadline is over, or it says the
// same bad thing for ten seconds that is no "not yet".
Result<void> wait_healthy(JobContext& r, const PlannedService& p);

// Where visitors without a path go: the one that serves "/".
bool is_front(const LoadedRelease& release, const PlannedService& p);
// Why nobody gets a page of this service; "" : somebody does. In two parts, so that many services
// can be asked at once: the questions, and what their answers say.
std::vector<os::Probe> visitors_questions(
    HostContext& host, const LoadedRelease& release, const PlannedService& p);
std::string visitors_trouble(
    const PlannedService& p, std::span<const Result<os::ProbeAnswer>> answers);

} // namespace chillbox::rollout
