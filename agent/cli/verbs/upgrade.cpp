// reload, upgrade: make the running daemon read its files again, or replace itself.
#include "cli/core/daemon.hpp"
#include "cli/core/options.hpp"

#include "cli/core/terminal.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds k_upgrade_timeout{5 * 60'000}; // it waits for an unlock that is under way

Result<void> run_reload(Call& call) {
  const std::string answer =
      TRY(ask(call.paths, {.verb = "reload", .timeout = milliseconds(60'000)}));
  call.terminal.print(call.terminal.json()
          ? answer
          : "reloaded the webhook keys; chillboxd.toml is read again by `chillboxctl upgrade`");
  return {};
}

// After the old program has agreed, the next answer comes from the new program, or from the old one
// with the reason why it is still running.
Result<void> run_upgrade(Call& call) {
  const std::string agreed =
      TRY(ask(call.paths, {.verb = "upgrade", .timeout = k_upgrade_timeout}));
  const std::string answered =
      TRY_IN("the new program", ask(call.paths, {.verb = "ping", .timeout = k_upgrade_timeout}));
  const auto before = TRY(control::read_answer<control::Upgraded>(agreed));
  const auto after = TRY(control::read_answer<control::Ping>(answered));
  if (after.not_upgraded)
    return fail(
        Code::failure, cat("the old program keeps running: ", printable(*after.not_upgraded, 500)));
  if (call.terminal.json())
    call.terminal.print(control::answer_text("upgrade",
        control::Upgraded{
            .version = after.version, .from = before.version, .sealed = after.sealed}));
  else
    call.terminal.print(cat("chillboxd ", printable(before.version, 40), " was replaced by ",
        printable(after.version, 40), ", the host is ", after.sealed ? "locked" : "unlocked"));
  return {};
}

} // namespace

extern constinit const Verb k_reload{"reload", Group::act, Where::host,
    "make chillboxd read the webhook keys again", {}, run_reload};
extern constinit const Verb k_upgrade{"upgrade", Group::act, Where::host,
    "replace the running chillboxd with the installed one; the host stays unlocked", {},
    run_upgrade};

} // namespace chillbox::cli
