// What runs on one host of a fleet, whichever claims it first in the fleet's engine: each due time
// of a crontab entry, and the release_command of a release. A claim excludes; it gives nobody a
// right to do anything.
//
//   claims/SITE/cron/HASH/2026-11-28T02:00Z   {"host":"web1","id":"..."}: HASH of the line, the
//                                             due time in UTC; goes after two weeks
//   claims/SITE/release/VERSION/SERVICE       the same; a version's command runs once, even if
//                                             it was packed twice; goes after a year
//   claims/SITE/release/VERSION/SERVICE/outcome   a control::SignedReport of the host that has the
//             claim: {"claim":KEY,"host":HOST,"problem":""}; "": it succeeded, else what it said
//
// A host keeps what it claims in its store from before it asks for it until the command begins: a
// try whose answer got lost is gone on with, and one that may have begun is not.
#pragma once

#include "base/error.hpp"
#include "base/names.hpp"
#include "cron/scheduler.hpp"
#include "rollout/host_context.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::rollout {

inline constexpr int64_t k_claim_late = 300; // seconds: what came due earlier is claimed no more

std::string claim_minute(int64_t unix_seconds); // "2026-11-28T02:00Z"
std::string cron_claim_key(const SiteName& site, std::string_view line, int64_t due);

// denied: this host's clock is not the engine's, by the newest answer.
Result<void> check_clock(const control::Engine& engine);
// Blocks for some seconds at most. unreachable: nobody knows who runs it, so nobody does; denied:
// the clocks differ; not_found: it was due too long ago; conflict: the engine is not believed.
Result<cron::Claim> claim_run(
    HostContext& host, const SiteName& site, const std::string& line, int64_t due);

// The release_command of a service of a version.
struct CommandClaim {
  std::string key;
  uint64_t fence = 0; // 0: another host has it
  std::string host;   // that other one
  bool own = false;   // it is this one, in an earlier try: there is nobody to wait for
};
Result<CommandClaim> claim_command(HostContext& host, const SiteName& site,
    const std::string& version, const std::string& service);
// Right before the command of a claim of this host: from here on it is not begun again.
Result<void> begin_command(HostContext& host, const CommandClaim& claim);
// Of a claim of this host: what others wait for.
Result<void> tell_outcome(
    HostContext& host, const CommandClaim& claim, const Result<void>& outcome);
// Of another host's: waits for its outcome until `give_up`, or until it is cancelled. failure: it
// failed there; denied: what the engine has is not what that host signed; timed_out: lost.
Result<void> wait_for_outcome(HostContext& host, const CommandClaim& claim, os::Millis give_up,
    const std::function<bool()>& cancelled);

} // namespace chillbox::rollout
