// audit, audit verify: show who did what, and prove that the trail was not changed.
#include "cli/core/answer_table.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/options.hpp"
#include "cli/core/period.hpp"

#include "base/text.hpp"
#include "os/clock.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_audit_options{k_limit, k_since, k_until};
constexpr std::array k_audit_verify_options{
    Option{"--head", ArgKind::text, "NUMBER:HASH",
        "check that this head, printed by an earlier run, is still in the trail"},
};

Result<void> run_audit(Call& call) {
  Question question{.verb = "audit"};
  TRY(add_period(call.args, question.args));
  return show_table<control::AuditTrail>(call, question,
      {{"NUMBER", "TIME", "WHO", "DID", "SITE", "WHAT", "OUTCOME"}, {}}, "nothing yet",
      [now = os::real_clock().wall_ms()](const control::AuditTrail& trail, Table& table) {
        for (const auto& a : trail.entries)
          table.rows.push_back({std::to_string(a.number), format_when(a.time_ms, now), a.actor,
              a.verb, a.site, a.text, a.outcome});
      });
}

Result<void> run_audit_verify(Call& call) {
  const auto proof = TRY(ask_or_print<control::AuditProof>(call,
      {.verb = "audit_verify",
          .args = {.head = call.args.text("head")},
          .timeout = std::chrono::milliseconds(300'000)}));
  if (proof)
    call.terminal.print(cat("ok: ", proof->entries, " entries, none changed; head ", proof->head));
  return {};
}

} // namespace

extern constinit const Verb k_audit{
    "audit", Group::show, Where::host, "show who did what", k_audit_options, run_audit};
extern constinit const Verb k_audit_verify{"audit verify", Group::show, Where::host,
    "prove that the audit trail was not changed", k_audit_verify_options, run_audit_verify};

} // namespace chillbox::cli
