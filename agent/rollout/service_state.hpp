// How a service of a live release does, without asking it: what OpenRC and its supervisor say of
// all its copies.
#pragma once

#include "control/names.hpp"
#include "rollout/known_releases.hpp"

#include <cstdint>
#include <string>

namespace chillbox::rollout {

struct ServiceLook {
  control::ServiceState state = control::ServiceState::files;
  uint32_t restarts = 0; // of all copies since they were started
  std::string trouble;   // what is wrong and what to do
};

ServiceLook look_at_service(HostContext& host, const LoadedRelease& release,
    const store::SiteRow& row, const PlannedService& p, KnownReleases::Seen& once);
control::ServiceState service_state(openrc::SlotState state);

} // namespace chillbox::rollout
