// The fleet of this host: the roster that it accepted last. It is believed for its signature alone,
// which must be of a key that may sign for all sites, and that is looked at again whenever it is
// used. It decides where what runs once runs, and which hosts' visitors a balancer takes; it brings
// no code and no key.
#pragma once

#include "control/fleet.hpp"
#include "rollout/host_context.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace chillbox::rollout {

// `text` is a control::SignedRoster. denied: no trusted signature, an epoch that is not newer, or
// this host is none of its hosts and never was; conflict: the host is of another fleet.
Result<control::RosterTaken> take_roster(HostContext& host, std::string_view text);
// What it means for this host's NGINX. Nothing without a fleet, for a host that was removed, and
// while the roster does not count.
nginx::Fleet traffic_of(const HostContext& host);
// The roster, while it counts, and what it calls this host. not_found: the host is of no fleet;
// denied: it was removed, or the roster does not count any more.
struct Fleet {
  control::Roster roster;
  std::string me;
};
Result<Fleet> fleet_of(const HostContext& host);
// nullopt: it is of no fleet.
std::optional<control::FleetSeat> seat_of(const HostContext& host);
// Where: "all", "first", "once" or a host's name. "": here; else why not, as "runs on web1 alone,
// the first of fleet shop". A host of no fleet is the first one of its own.
std::string runs_elsewhere(const HostContext& host, std::string_view where);
// Of a host of a fleet, where `where` names a host that the fleet does not have.
Result<void> check_where(const HostContext& host, std::string_view where);

} // namespace chillbox::rollout
