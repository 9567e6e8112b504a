// agent status, agent lock: the person's key in memory.
#include "cli/core/answers.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/places.hpp"
#include "cli/laptop/signer.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

Result<void> run_agent_status(Call& call) {
  const auto state = TRY(agent_state(Places::find()));
  if (call.terminal.json())
    call.terminal.print(answer_text("agent",
        AgentAnswer{.unlocked = state.has_value(),
            .name = state ? state->name : "",
            .id = state ? state->id : "",
            .left_s = state ? state->left_s : 0}));
  else
    call.terminal.print(state ? cat(state->name, "  key ", state->id, "  in memory for ",
                                    format_duration(std::chrono::seconds(state->left_s)))
                              : "locked: the passphrase is asked for at the next signature");
  return {};
}

Result<void> run_agent_lock(Call& call) {
  const bool ran = TRY(lock_agent(Places::find()));
  if (call.terminal.json())
    call.terminal.print(answer_text("agent-lock", Changed{.name = "agent", .changed = ran}));
  else
    call.terminal.print(ran ? "locked: your key is no longer in memory" : "unchanged: locked");
  return {};
}

} // namespace

extern constinit const Verb k_agent_status{"agent status", Group::laptop, Where::laptop,
    "show whether your signing key is in memory, and for how long", {}, run_agent_status};
extern constinit const Verb k_agent_lock{"agent lock", Group::laptop, Where::laptop,
    "remove your signing key from memory", {}, run_agent_lock};

} // namespace chillbox::cli
