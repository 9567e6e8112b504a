// rollback, restart, stop, start, remove, retry: verbs that make a job. maintenance makes none.
#include "cli/core/daemon.hpp"
#include "cli/core/job_stream.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"
#include "cli/core/verbs.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

Result<void> run_on_target(Call& call, std::string_view verb, Fields more = {}) {
  const std::string target = call.args.text("SITE[/SERVICE]");
  const auto slash = target.find('/');
  more.emplace_back("site", target.substr(0, slash));
  more.emplace_back("service", slash == std::string::npos ? "" : target.substr(slash + 1));
  return run_job_verb(call, verb, std::move(more));
}

Result<void> set_maintenance(Call& call, bool on, const Question& question, std::string_view said) {
  const auto answer = ask(call.paths, question, &call.error_data);
  if (!answer)
    return std::unexpected(answer.error());
  const bool already = member_flag(*answer, "was") == on;
  call.terminal.print(call.terminal.json()
          ? *answer
          : cat(call.args.text("SITE"), ": ", already ? "already so: " : "", said));
  return {};
}

} // namespace

Result<void> run_rollback(Call& call) {
  return run_job_verb(call, "rollback",
      {{"site", call.args.text("SITE")}, {"version", call.args.text("VERSION")},
          {"during_hold", call.args.has("during-hold")}});
}

Result<void> run_restart(Call& call) {
  return run_on_target(call, "restart", {{"no_watch", call.args.has("no-watch")}});
}
Result<void> run_stop(Call& call) {
  return run_on_target(call, "stop");
}
Result<void> run_start(Call& call) {
  return run_on_target(call, "start");
}

Result<void> run_remove(Call& call) {
  const std::string site = call.args.text("SITE");
  const bool purge = call.args.has("purge");
  if (!call.args.has("yes")) {
    const std::string loss = purge ? "its releases, data, secrets and logs are deleted"
                                   : "its releases are deleted, its data stays";
    const std::string answer =
        TRY(ask_line(cat("remove '", site, "': ", loss, ". Type the site's name to go on"),
            "asking before a site is removed", "use --yes"));
    if (trim(answer) != site)
      return fail(Code::failure,
          cat("'", printable(answer, 40), "' is not '", site, "': nothing was removed"));
  }
  return run_job_verb(call, "remove", {{"site", site}, {"purge", purge}});
}

Result<void> run_retry(Call& call) {
  return run_job_verb(call, "retry",
      {{"job", call.args.text("ID")}, {"allow_downgrade", call.args.has("allow-downgrade")},
          {"allow_jump", call.args.has("allow-jump")}, {"no_watch", call.args.has("no-watch")}});
}

Result<void> run_maintenance_on(Call& call) {
  return set_maintenance(call, true,
      {.verb = "maintenance_on",
          .args = {{"site", call.args.text("SITE")}, {"message", call.args.text("message")}}},
      "visitors get the maintenance page");
}

Result<void> run_maintenance_off(Call& call) {
  return set_maintenance(call, false,
      {.verb = "maintenance_off", .args = {{"site", call.args.text("SITE")}}},
      "visitors are let in");
}

} // namespace chillbox::cli
