// hold, release-hold, withdraw, secrets withdraw, prune: verbs that keep the host in order.
#include "cli/core/daemon.hpp"
#include "cli/core/reply.hpp"
#include "cli/core/terminal.hpp"
#include "cli/core/verbs.hpp"

#include "base/text.hpp"

namespace chillbox::cli {

Result<void> run_hold(Call& call) {
  const std::string site = call.args.text("SITE");
  const std::string answer = TRY(ask(call.paths,
      {.verb = "hold", .args = {{"site", site}, {"why", call.args.text("message")}}},
      &call.error_data));
  call.terminal.print(call.terminal.json()
          ? answer
          : cat("held: deploys of '", site,
                "', and all that comes by webhook, are refused until `chillboxctl release-hold ",
                site, "`"));
  return {};
}

Result<void> run_release_hold(Call& call) {
  const std::string site = call.args.text("SITE");
  const std::string answer =
      TRY(ask(call.paths, {.verb = "release_hold", .args = {{"site", site}}}, &call.error_data));
  const bool was = member_flag(answer, "was_held");
  call.terminal.print(call.terminal.json()
          ? answer
          : cat(was ? "released: '" : "already so: '", site, "' is not held: deploys are taken"));
  return {};
}

Result<void> run_withdraw(Call& call) {
  const std::string site = call.args.text("SITE"), version = call.args.text("VERSION");
  const std::string answer = TRY(ask(call.paths,
      {.verb = "withdraw",
          .args = {{"site", site}, {"version", version}, {"why", call.args.text("message")}}},
      &call.error_data));
  if (call.terminal.json()) {
    call.terminal.print(answer);
    return {};
  }
  call.terminal.print(cat("withdrawn: ", join(member_list(answer, "releases"), ", "), " of '", site,
      "' is never started again, nor deployed"));
  if (const std::string live = member_text(answer, "live"); !live.empty())
    call.terminal.print_status(cat(printable(live, 100),
        " is live, and runs until it is replaced or the host is rebooted: deploy another version, `chillboxctl rollback ",
        site, "`, or `chillboxctl stop ", site, "`"));
  return {};
}

Result<void> run_secrets_withdraw(Call& call) {
  const std::string site = call.args.text("SITE");
  const std::string answer = TRY(ask(call.paths,
      {.verb = "secrets_withdraw",
          .args = {{"site", site}, {"serial", call.args.number("SERIAL", 0)}}},
      &call.error_data));
  call.terminal.print(call.terminal.json()
          ? answer
          : cat("withdrawn: secret sets of '", site, "' up to the serial ",
                member_number(answer, "serial"),
                " are gone: a rollback starts with the set that is in use"));
  return {};
}

Result<void> run_prune(Call& call) {
  const bool dry_run = call.args.has("dry-run");
  const Question question{.verb = "prune",
      .args = {{"site", call.args.text("SITE")}, {"dry_run", dry_run}},
      .timeout = std::chrono::milliseconds(300'000)};
  const std::string answer = TRY(ask(call.paths, question, &call.error_data));
  if (call.terminal.json()) {
    call.terminal.print(answer);
    return {};
  }
  const auto paths = member_list(answer, "paths");
  for (const auto& path : paths)
    call.terminal.print(printable(path, 1024));
  call.terminal.print_status(paths.empty()
          ? "nothing to remove"
          : cat(dry_run ? "would remove " : "removed ", paths.size(), ", ",
                human_size(member_number(answer, "bytes"))));
  return {};
}

} // namespace chillbox::cli
