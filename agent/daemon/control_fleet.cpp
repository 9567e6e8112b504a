// fleet_take: a signed roster; rollout_take: a signed order of a rollout, for the fleet's engine.
// Whoever may ask here can only bring what somebody else has signed. rollout_look, rollout_stop and
// rollout_resume are of what the hosts walk by themselves (daemon/rollouts.hpp).
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

Result<void> require_engine(const Call& call) {
  if (call.state.monitor.rollouts.has_engine())
    return {};
  return fail(Code::conflict,
      "this host has no engine, which hosts that walk a rollout need: [fleet] in "
      "chillboxd.toml, or by = \"laptop\" in chillbox.toml");
}

Result<control::OrderTaken> rollout_take(const Call& call) {
  TRY(require_engine(call));
  return call.state.monitor.rollouts.take(
      TRY(site_of(call)), TRY(required(call.args.order, "order")));
}

Result<control::OrderedRollouts> rollout_look(const Call& call) {
  TRY(require_engine(call));
  control::OrderedRollouts out;
  out.rollouts = TRY(call.state.monitor.rollouts.all([&](const SiteName& site) {
    return may_see(call, site.str()) && (!call.args.site || *call.args.site == site.str());
  }));
  return out;
}

Result<control::Done> rollout_stop(const Call& call) {
  TRY(require_engine(call));
  TRY(call.state.monitor.rollouts.stop(
      TRY(site_of(call)), {call.actor, call.args.why.value_or("")}));
  return control::Done{};
}

Result<control::Done> rollout_resume(const Call& call) {
  TRY(require_engine(call));
  TRY(call.state.monitor.rollouts.resume(TRY(site_of(call))));
  return control::Done{};
}

constexpr ControlVerb k_fleet_verbs[] = {
    {"fleet_take", answer<fleet_take>, true, control::Role::admin, Reach::filtered},
    {"rollout_take", answer<rollout_take>, true, control::Role::deploy},
    {"rollout_look", answer<rollout_look>, false, control::Role::look, Reach::filtered},
    {"rollout_stop", answer<rollout_stop>, true, control::Role::deploy},
    {"rollout_resume", answer<rollout_resume>, true, control::Role::deploy},
};

} // namespace

std::span<const ControlVerb> fleet_verbs() {
  return k_fleet_verbs;
}

} // namespace chillbox::daemon
