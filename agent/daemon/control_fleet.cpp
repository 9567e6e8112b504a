// fleet_take: a signed roster. Whoever may ask here can only bring what somebody else has signed.
#include "daemon/control_verbs.hpp"
#include "rollout/roster.hpp"

namespace chillbox::daemon {
namespace {

Result<control::RosterTaken> fleet_take(const Call& call) {
  TRY(require_admin(call, "the roster of a fleet"));
  auto taken = TRY(rollout::take_roster(call.host(), TRY(required(call.args.roster, "roster"))));
  call.state.changes.notify();
  TRY_IN("the roster is kept; its traffic is as before", call.state.monitor.traffic());
  return taken;
}

constexpr ControlVerb k_fleet_verbs[] = {
    {"fleet_take", answer<fleet_take>, true, control::Role::admin, Reach::filtered},
};

} // namespace

std::span<const ControlVerb> fleet_verbs() {
  return k_fleet_verbs;
}

} // namespace chillbox::daemon
