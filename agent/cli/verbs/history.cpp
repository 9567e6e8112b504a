// releases, jobs, audit, audit verify: what happened.
#include "cli/core/answer_table.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/reply.hpp"
#include "cli/core/verbs.hpp"

#include "base/text.hpp"

namespace chillbox::cli {

Result<void> run_releases(Call& call) {
  const Question question{.verb = "releases", .args = {{"site", call.args.text("SITE")}}};
  return show_table(call, question,
      {{"", "RELEASE", "VERSION", "STATE", "SLOT", "SERIAL", "LIVE SINCE", "SIGNED BY", "WHY"}, {}},
      "no release yet", [](const std::string& answer, Table& table) -> Result<void> {
        for (const ReleaseView& r : TRY(parse_releases(answer)))
          table.rows.push_back({r.live ? "*" : " ", r.id, r.version,
              r.withdrawn ? "withdrawn" : r.state, r.slot, std::to_string(r.serial),
              format_time(r.live_ms), r.signer, r.message.empty() ? r.distrust : r.message});
        return {};
      });
}

Result<void> run_jobs(Call& call) {
  const Question question{.verb = "jobs",
      .args = {
          {"site", call.args.text("SITE")}, {"limit", call.args.number("lines", k_default_lines)}}};
  return show_table(call, question,
      {{"JOB", "KIND", "SITE", "VERSION", "STATE", "STEP", "BY", "CREATED", "VERDICT"}, {}},
      "no job yet", [](const std::string& answer, Table& table) -> Result<void> {
        for (const JobView& j : TRY(parse_jobs(answer)))
          table.rows.push_back({j.id, j.kind, j.site, j.version, j.state, j.step, j.actor,
              format_time(j.created_ms), j.message});
        return {};
      });
}

Result<void> run_audit(Call& call) {
  const Question question{
      .verb = "audit", .args = {{"limit", call.args.number("lines", k_default_lines)}}};
  return show_table(call, question,
      {{"NUMBER", "TIME", "WHO", "DID", "SITE", "WHAT", "OUTCOME"}, {}}, "nothing yet",
      [](const std::string& answer, Table& table) -> Result<void> {
        for (const AuditView& a : TRY(parse_audit(answer)))
          table.rows.push_back({std::to_string(a.number), format_time(a.time_ms), a.actor, a.verb,
              a.site, a.text, a.outcome});
        return {};
      });
}

Result<void> run_audit_verify(Call& call) {
  const std::string answer = TRY(ask(call.paths,
      {.verb = "audit_verify",
          .args = {{"head", call.args.text("head")}},
          .timeout = std::chrono::milliseconds(300'000)}));
  call.terminal.print(call.terminal.json()
          ? answer
          : cat("ok: ", member_number(answer, "entries"), " entries, none changed; head ",
                member_text(answer, "head")));
  return {};
}

} // namespace chillbox::cli
