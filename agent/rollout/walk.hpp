// A host's walk through the order of a rollout: what it does next, as a pure function of the order,
// of what it has done, of what the other hosts report and of what it sees. The daemon does it
// (daemon/rollout_walk.hpp).
//
// It begins only when every host of the batches before its own is done, when nothing failed, nobody
// said stop and the deadline has not passed, and with one of the site's slots in the engine, of
// which a locked host takes one away. A host whose release is live goes back, if the order says
// so, when another one failed or when the deadline has passed without all of them: each to what was
// live there before. Once all are known to be done, nothing that is said later changes it.
#pragma once

#include "control/rollout.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace chillbox::rollout {

using Reports = std::map<std::string, control::HostReport>; // by host

// What this host has done of an order; on its disk.
struct Walked {
  control::HostReport mine;
  uint64_t told = 0;            // the seq of `mine` that the engine has
  std::string job, back;        // of the deploy; of the rollback
  bool drained = false;         // by this walk
  uint64_t slot = 0, fence = 0; // that it holds; fence 0: none
  int64_t live_ms = 0;          // when the bake began
  bool ended = false;
  Reports others; // verified; the newest of each
};

// What there is, now.
struct Seen {
  bool sealed = false, stopped = false;
  bool fresh = false; // others and stopped are as a majority has them
  int64_t now_ms = 0;
  std::string clock;       // why now_ms decides nothing, "" : it does
  std::string live;        // the release
  std::string live_sha256; // of its artifact
  std::string blocked;     // why this host takes no deploy, "" : it does
};

enum class WalkStep {
  wait,      // until `at_ms`, 0: no time, or until something changes; `why` for who asks
  note,      // report that something else was made live here
  tell,      // bring the report to the engine
  stage,     // artifact and preflight
  skip,      // locked
  unlocked,  // it is not any more: nobody waits for it while it stages
  take_slot, // one of `slots`
  carry_on,  // drain, switch, to the end of the job
  done,      // the bake is over
  outside,   // it is not of the rollout any more, for `why`
  go_back,   // to the release before
  end,       // nothing is left to do
};
struct NextStep {
  WalkStep step = WalkStep::wait;
  std::string why = {};
  int64_t at_ms = 0;
  uint64_t slots = 0;
};

NextStep next_step(const control::RolloutOrder& order, const Walked& walked, const Seen& seen);

// Of all hosts, in the order's order; who has not reported is waiting.
std::vector<control::HostReport> rows_of(const control::RolloutOrder& order, const Reports& all);
// Nobody will do any more of it.
bool is_over(const control::RolloutOrder& order, const Reports& all, int64_t now_ms);

} // namespace chillbox::rollout
