// ping, unlock, lock, reload, upgrade.
#include "cli/core/daemon.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/reply.hpp"
#include "cli/core/terminal.hpp"
#include "cli/core/verbs.hpp"

#include "base/text.hpp"

#include <thread>

namespace chillbox::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// The key derivation alone takes seconds on a small host, and starting what waited takes more.
constexpr milliseconds k_unlock_timeout{10 * 60'000};
constexpr milliseconds k_upgrade_timeout{5 * 60'000}; // an unlock that is under way is waited for
constexpr milliseconds k_ping_again{200};

Result<std::string> ping(const os::Paths& paths) {
  return ask(paths, {.verb = "ping", .timeout = milliseconds(5'000)});
}

Result<std::string> ping_until(const os::Paths& paths, milliseconds wait) {
  const auto end = steady_clock::now() + wait;
  for (;;) {
    auto answer = ping(paths);
    if (answer || answer.error().code == Code::denied || steady_clock::now() >= end)
      return answer;
    std::this_thread::sleep_for(k_ping_again);
  }
}

} // namespace

Result<void> run_ping(Call& call) {
  const std::string answer =
      TRY(ping_until(call.paths, call.args.duration("wait", milliseconds(0))));
  if (call.terminal.json())
    call.terminal.print(answer);
  else
    call.terminal.print(cat("chillboxd ", printable(member_text(answer, "version"), 40), ", pid ",
        member_number(answer, "pid"), ", ", member_flag(answer, "sealed") ? "sealed" : "unsealed"));
  return {};
}

Result<void> run_unlock(Call& call) {
  // Before anybody types: is there a daemon, and is there anything to unlock?
  const std::string state = TRY(ping(call.paths));
  if (!member_flag(state, "sealed")) {
    if (call.terminal.json())
      call.terminal.print(result_text("unlock", {{"changed", false}}));
    else
      call.terminal.print("already so: the host is unsealed");
    return {};
  }
  const SecretBytes passphrase =
      TRY(ask_passphrase(call.args, "passphrase of the host", Ask::once));
  const auto answer = ask(call.paths,
      {.verb = "unlock", .secret = &passphrase, .timeout = k_unlock_timeout}, &call.error_data);
  if (!answer)
    return std::unexpected(answer.error());
  if (call.terminal.json()) {
    call.terminal.print(*answer);
    return {};
  }
  const auto sites = member_list(*answer, "sites");
  call.terminal.print("unsealed");
  if (!sites.empty())
    call.terminal.print(cat("started: ", printable(join(sites, ", "), 2000)));
  return {};
}

Result<void> run_lock(Call& call) {
  const std::string answer =
      TRY(ask(call.paths, {.verb = "lock", .timeout = milliseconds(60'000)}));
  if (call.terminal.json())
    call.terminal.print(answer);
  else
    call.terminal.print(member_flag(answer, "was_unsealed")
            ? "sealed: the identity is wiped, what runs goes on"
            : "already so: the host is sealed");
  return {};
}

Result<void> run_reload(Call& call) {
  const std::string answer =
      TRY(ask(call.paths, {.verb = "reload", .timeout = milliseconds(60'000)}));
  call.terminal.print(call.terminal.json() ? answer : "reloaded");
  return {};
}

// The first to answer after the old program agreed is the new one, or the old one once more, which
// then says why.
Result<void> run_upgrade(Call& call) {
  const std::string before =
      TRY(ask(call.paths, {.verb = "upgrade", .timeout = k_upgrade_timeout}));
  const std::string after =
      TRY_IN("the new program", ask(call.paths, {.verb = "ping", .timeout = k_upgrade_timeout}));
  if (const std::string why = member_text(after, "not_upgraded"); !why.empty())
    return fail(Code::failure, cat("the old program goes on: ", printable(why, 500)));
  const bool sealed = member_flag(after, "sealed");
  if (call.terminal.json())
    call.terminal.print(result_text("upgrade",
        {{"from", member_text(before, "version")}, {"version", member_text(after, "version")},
            {"sealed", sealed}}));
  else
    call.terminal.print(cat("chillboxd ", printable(member_text(before, "version"), 40),
        " handed over to ", printable(member_text(after, "version"), 40), ", the host is ",
        sealed ? "sealed" : "unsealed"));
  return {};
}

} // namespace chillbox::cli
