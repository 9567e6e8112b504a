// The tables of control/fleet.hpp, for messages.cpp.
#pragma once

#include "control/fleet.hpp"
#include "control/members.hpp"

namespace chillbox::control {

constexpr auto table(const FleetHost*) {
  using H = FleetHost;
  return message("fleet_host", "A host of a fleet.",
      Member{"name", &H::name, "as the laptop calls it"},
      Member{"address", &H::address, "where the others reach it"},
      Member{"recipient", &H::recipient, "by which a host knows which one it is"},
      Member{"roles", &H::roles, ""},
      Member{"report_key", &H::report_key, "it signs with it what it reports, \"\": none yet"});
}

constexpr auto table(const BalancedSite*) {
  using S = BalancedSite;
  return message("balanced_site", "A site whose visitors the balancers of a fleet take.",
      Member{"site", &S::site, ""}, Member{"names", &S::names, "its host names"},
      Member{"body_max", &S::body_max,
          "bytes of a request, 0: as for a site that says nothing, 32 MiB"});
}

constexpr auto table(const Roster*) {
  return message("roster", "The hosts of a fleet; the first one runs what runs once.",
      Member{"fleet", &Roster::fleet, ""}, Member{"epoch", &Roster::epoch, "only grows"},
      Member{"hosts", &Roster::hosts, "in their order"},
      Member{"balanced", &Roster::balanced, "sites that its balancers take visitors for"});
}

constexpr auto table(const SignedRoster*) {
  return message("signed_roster", "", Member{"roster", &SignedRoster::roster, "the text"},
      Member{"signature", &SignedRoster::signature, "of that text, as of an artifact"});
}

constexpr auto table(const FleetSeat*) {
  using S = FleetSeat;
  return message("fleet_seat", "The host in its fleet.", Member{"fleet", &S::fleet, ""},
      Member{"epoch", &S::epoch, "of its roster"},
      Member{"host", &S::host, "its name there, \"\": it was removed"},
      Member{"first", &S::first, "it runs what runs once"},
      Member{"problem", &S::problem, "why the roster does not count any more, \"\": it does"},
      Member{"report_key", &S::report_key, "the host's, as the roster has it, \"\": none yet"},
      Member{"digest", &S::digest, "sha256 of the roster"});
}

constexpr auto table(const EngineStatus*) {
  using S = EngineStatus;
  return message("engine_status", "The engine of the fleet, as the host finds it.",
      Member{"reachable", &S::reachable, "a majority of its members answers"},
      Member{"since_ms", &S::since_ms, "since when it is so"},
      Member{"problem", &S::problem, "why not, or why it is not believed, \"\": all is well"},
      Member{"ahead_s", &S::ahead_s, "of its clock before the host's, by its newest answer"},
      Member{"missed", &S::missed, "something did not run since then, because it did not answer"});
}

constexpr auto table(const RosterTaken*) {
  return message("roster_taken", "", Member{"seat", &RosterTaken::seat, ""},
      Member{"changed", &RosterTaken::changed, "false: it was so already"});
}

} // namespace chillbox::control
