// A rollout as the laptop remembers it: a file, written before each thing that is done to a host
// and after it, so that it can be continued from wherever it was killed.
#pragma once

#include "base/error.hpp"
#include "cli/core/answers.hpp"
#include "cli/laptop/places.hpp"
#include "cli/laptop/rollout_rules.hpp"
#include "control/messages.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace chillbox::cli {

// state: a name of control::HostTurn.
struct RolledHost {
  std::string name; // as find_targets() takes it
  std::string state = "waiting";
  std::string before, before_version; // the release that was live
  std::string job, message, code;
  control::Arguments order;  // with the signature for this host
  std::string path;          // of the artifact
  bool ordered = false;      // it may have the order, and deploy
  bool runs_command = false; // of this fleet, the release_command; not written down
  control::Facts facts = {}; // when it was staged; not written down
  bool is(std::string_view what) const { return state == what; }
};

struct RolloutState {
  std::string site, env, version;
  bool switching = false; // all are staged
  bool ended = false;
  RolloutRules rules;
  std::vector<RolledHost> hosts;
  // Of one that the hosts walk: control::SignedOrder, and whether a host has taken it.
  std::string signed_order = {};
  uint64_t order_serial = 0;
  bool taken = false;
  bool by_hosts() const { return rules.by == "hosts"; }
};

std::string rollout_file(const Places& places, const std::string& site, const std::string& env);
// A file whose being there stops it before the next host.
std::string rollout_stop_file(
    const Places& places, const std::string& site, const std::string& env);
// not_found: there was none.
Result<RolloutState> read_rollout(
    const Places& places, const std::string& site, const std::string& env);
Result<void> write_rollout(const Places& places, const RolloutState& state);
RolloutReport report_of(const RolloutState& state);

} // namespace chillbox::cli
