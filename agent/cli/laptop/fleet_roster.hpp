// The roster of a fleet on the laptop: a file with the text and its signature (control/fleet.hpp),
// config/chillbox/fleet.json or where --file says. A change is signed with the next
// epoch and sent to every host.
//
// What runs once runs on the first host. Another host becomes the first one only once the one that
// was it has taken the new roster, or somebody says that it is off (`fenced`). Until a host has
// taken it the file is FILE.new, and FILE is what was: two people who change the fleet at the same
// time sign the same epoch, and a host takes one of them.
#pragma once

#include "cli/core/answers.hpp"
#include "cli/core/verb.hpp"
#include "cli/fleet/host_answers.hpp"
#include "cli/laptop/places.hpp"
#include "control/fleet.hpp"
#include "control/messages.hpp"

#include <functional>
#include <string>
#include <vector>

namespace chillbox::cli {

struct RosterFile {
  std::string path;
  control::Roster roster;
  std::string text;   // as it is signed and sent
  std::string digest; // as control::FleetSeat has it
};
// not_found: there is none.
Result<RosterFile> read_roster(const std::string& path);

using FactsOf = std::vector<HostAnswer<control::Facts>>;
// Of `facts`; null: it did not answer.
const control::Facts* facts_of(const FactsOf& facts, const std::string& host);
struct RosterChange {
  std::string fleet;             // a new one's name
  std::vector<std::string> more; // hosts that are asked, too
  std::function<Result<void>(control::Roster&, const FactsOf&)> edit;
  bool fenced = false;
};
// conflict: a host has another fleet, or a newer roster than this file, or the first one another of
// the same epoch; busy: another change is being made on this laptop; unreachable: the host that
// was the first one. What it has printed says which hosts took it: Call::exit is that of all.
Result<void> change_roster(
    Call& call, const Places& places, const std::string& path, const RosterChange& change);
struct Received {
  bool taken = false;  // by a host
  bool refused = true; // by all, so that none has it
};
// As it is, to all hosts and `more`.
Result<Received> send_roster(Call& call, const Places& places, const RosterFile& file,
    const std::vector<std::string>& more = {});
// One row for each host of the roster.
FleetReport report_of(const control::Roster& roster);
void print_report(Call& call, const FleetReport& report);

} // namespace chillbox::cli
