#include "rollout/service_state.hpp"

#include "base/text.hpp"
#include "rollout/ports.hpp"

namespace chillbox::rollout {

using control::ServiceState;

ServiceState service_state(openrc::SlotState state) {
  switch (state) {
  case openrc::SlotState::starting: return ServiceState::starting;
  case openrc::SlotState::stopping: // it still answers
  case openrc::SlotState::started: return ServiceState::started;
  case openrc::SlotState::crashed: return ServiceState::crashed;
  case openrc::SlotState::stopped: break;
  }
  return ServiceState::stopped;
}

ServiceLook look_at_service(HostContext& host, const LoadedRelease& release,
    const store::SiteRow& row, const PlannedService& p, KnownReleases::Seen& once) {
  ServiceLook seen;
  if (p.files_only())
    return seen;
  const std::string who = cat("service '", p.service.name.str(), "'");
  const auto first = slot_name(release, p);
  const auto leader = host.slots.look(first);
  seen.state = service_state(leader.state);
  for (const uint32_t index : p.indexes()) {
    const auto name = slot_name(release, p, index);
    const auto copy = index == 0 ? leader : host.slots.look(name);
    seen.restarts += copy.respawns;
    if (seen.state == ServiceState::started && copy.state == openrc::SlotState::crashed)
      seen.state = ServiceState::crashed; // one of several
    const auto next = host.slots.crash_loop(name);
    if (!next || seen.state != ServiceState::started)
      continue;
    seen.state = ServiceState::crashing;
    seen.trouble = cat(who, " keeps crashing, ",
        next->count() > 0 ? cat("its next start is in ", (next->count() + 999) / 1000, " s")
                          : "it was just started again",
        ": see `chillboxctl logs ", row.site.str(), "/", p.service.name.str(), "`");
  }
  if (p.port == 0 || row.stopped)
    return seen;
  if (!once.listeners)
    once.listeners = os::Listeners::read();
  if (const auto stranger = stranger_at(host, p.port, first, *once.listeners)) {
    seen.state = ServiceState::displaced;
    seen.trouble = cat(who, ": on its port ", p.port, " listens ", os::describe(*stranger),
        ", which is none of its processes: end that one");
  }
  return seen;
}

} // namespace chillbox::rollout
