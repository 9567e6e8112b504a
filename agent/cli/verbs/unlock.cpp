// unlock, lock: decrypt the host's identity into memory, and wipe it from there.
#include "cli/core/answer_table.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_unlock_options{k_passphrase_fd};

using std::chrono::milliseconds;

// On a small host the key derivation takes seconds, and starting the sites takes longer.
constexpr milliseconds k_unlock_timeout{10 * 60'000};

Result<void> run_unlock(Call& call) {
  // Before anyone types, check that a daemon runs and that the host is locked.
  const std::string text = TRY(ask(call.paths, {.verb = "ping", .timeout = milliseconds(5'000)}));
  const auto state = TRY(control::read_answer<control::Ping>(text));
  if (!state.sealed) {
    if (call.terminal.json())
      call.terminal.print(control::answer_text("unlock",
          control::Unlocked{.changed = false, .recipient = {}, .sites = {}, .failed = {}}));
    else
      call.terminal.print("unchanged: the host is unlocked");
    return {};
  }
  const SecretBytes passphrase =
      TRY(ask_passphrase(call.args, "passphrase of the host", Ask::once));
  const std::string answer =
      TRY(ask(call.paths, {.verb = "unlock", .secret = &passphrase, .timeout = k_unlock_timeout}));
  const auto unlocked = TRY(control::read_answer<control::Unlocked>(answer));
  const auto failed = unlocked.failed.value_or(std::vector<std::string>{});
  if (call.terminal.json())
    call.terminal.print(answer);
  else
    call.terminal.print("unlocked");
  if (!call.terminal.json() && unlocked.sites && !unlocked.sites->empty())
    call.terminal.print(cat("started: ", printable(join(*unlocked.sites, ", "), 2000)));
  if (failed.empty())
    return {};
  call.error_printed = call.terminal.json();
  return fail(Code::failure,
      cat("unlocked, but not every site is up: ", printable(join(failed, "; "), 2000)));
}

Result<void> run_lock(Call& call) {
  const auto locked =
      TRY(ask_or_print<control::Locked>(call, {.verb = "lock", .timeout = milliseconds(60'000)}));
  if (locked)
    call.terminal.print(locked->was_unsealed
            ? "locked: the host key is wiped, running services keep running"
            : "unchanged: the host is locked");
  return {};
}

} // namespace

extern constinit const Verb k_unlock{"unlock", Group::seal, Where::host,
    "unlock the host with its passphrase", k_unlock_options, run_unlock};
extern constinit const Verb k_lock{
    "lock", Group::seal, Where::host, "lock the host: wipe its key from memory", {}, run_lock};

} // namespace chillbox::cli
