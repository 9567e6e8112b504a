// The roster of a fleet: which hosts it has, in an order in which the first one runs what runs
// once. It is signed as artifacts are (artifact/verify.hpp), with its epoch as the serial, and
// stored as
// {"roster":TEXT,"signature":TEXT}, on the laptop and on each host, so that both change together.
// fleet_table.hpp has the tables.
#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::control {

inline constexpr size_t k_max_signed_roster = 32 * 1024;

struct FleetHost {
  std::string name;      // as the laptop calls it
  std::string address;   // where the others reach it
  std::string recipient; // by which a host knows which one it is
  std::vector<std::string> roles;
  std::string report_key = {}; // a minisign line, with which it signs what it reports; "": none yet
  bool operator==(const FleetHost&) const = default;
  bool balances() const;
};
inline constexpr std::string_view k_balancer = "balancer"; // a role
// A site whose visitors the balancers of a fleet take, for its other hosts.
struct BalancedSite {
  std::string site;
  std::vector<std::string> names; // its host names
  uint64_t body_max = 0;          // bytes of a request, 0: as for a site that says nothing
  bool operator==(const BalancedSite&) const = default;
};
struct Roster {
  std::string fleet;
  uint64_t epoch = 0; // only grows
  std::vector<FleetHost> hosts;
  std::vector<BalancedSite> balanced;

  const FleetHost* by_recipient(std::string_view recipient) const;
  const FleetHost* by_name(std::string_view name) const;
};
struct SignedRoster {
  std::string roster, signature;
};
// A host in its fleet, as it says.
struct FleetSeat {
  std::string fleet;
  uint64_t epoch = 0;
  std::string host; // its name there, "" : it was removed
  bool first = false;
  std::string problem;         // why the roster does not count any more, "" : it does
  std::string report_key = {}; // the host's, as the roster has it; "": none yet
  std::string digest = {};     // sha256 of the roster; "": a host of before says none
};
// The engine of the fleet (control/engine.hpp), as this host finds it.
struct EngineStatus {
  bool reachable = false; // a majority of it answers
  int64_t since_ms = 0;   // since when it is so
  std::string problem;    // why it is not, or is not believed; "": all is well
  int64_t ahead_s = 0;    // of the members' clocks, before this host's, by their newest answer
  bool missed = false;    // something was to run once since then, and nobody could be asked
};
struct RosterTaken {
  FleetSeat seat;
  bool changed = false;
};

inline constexpr int64_t k_engine_clock = 300; // seconds that a clock may differ from the engine's
// "" : the engine answers, is believed, and its clock is this host's.
std::string engine_trouble(const EngineStatus& engine, int64_t now_ms);

// too_large, invalid: no roster, with the first problem.
Result<Roster> parse_roster(std::string_view text);
std::string roster_text(const Roster& roster); // one line, parse_roster() reads it back
Result<SignedRoster> parse_signed_roster(std::string_view text);
std::string signed_roster_text(const SignedRoster& both); // of its file

} // namespace chillbox::control
