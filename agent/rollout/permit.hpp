// Who asked for a job, and what that allows, can change while it waits or runs: what was good when
// it was accepted is looked at again before each step until the switch.
#pragma once

#include "rollout/job_context.hpp"
#include "rollout/steps.hpp"

#include <string>

namespace chillbox::rollout {

// denied: the sender or the signer may not any more; busy: the site is held.
Result<void> permit(JobContext& r, const Step& step);
// Of a job that a daemon left running: the newer job of its site that got to where it ends all
// others, which it could not have while this one ran. So this one had ended, and an earlier version
// could not record that: what was asked for since then is not to be undone. "" : there is none.
Result<std::string> overtaken_by(HostContext& host, const store::Job& job);

} // namespace chillbox::rollout
