// rollout take, reports, halt: what `rollout` runs on a host whose fleet walks a rollout by itself.
#include "cli/core/answer_table.hpp"
#include "cli/core/options.hpp"
#include "cli/core/terminal.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "control/rollout.hpp"

#include <array>

namespace chillbox::cli {
namespace {

constexpr std::array k_rollout_take_options{
    Option{"ORDER", ArgKind::text, "", "the signed order, as base64"}};
constexpr std::array k_rollout_reports_options{k_site_or_all};
constexpr std::array k_rollout_halt_options{
    k_site,
    Option{"--undo", ArgKind::flag, "", "let hosts begin again"},
    Option{"-m,--message", ArgKind::text, "WHY", "why, which is shown to all who ask"},
};

Result<void> run_rollout_take(Call& call) {
  const Bytes bytes = TRY_IN("ORDER", unbase64(call.args.text("ORDER")));
  const std::string text(bytes.begin(), bytes.end());
  const auto both = TRY_IN("ORDER", control::parse_signed_order(text));
  const auto order = TRY_IN("ORDER", control::parse_order(both.order));
  const auto taken = TRY(ask_or_print<control::OrderTaken>(
      call, {.verb = "rollout_take", .args = {.site = order.site, .order = text}}));
  if (taken)
    call.terminal.print(cat(taken->changed ? "" : "unchanged: ", taken->site, ": order ",
        taken->serial, " is ordered"));
  return {};
}

Result<void> run_rollout_reports(Call& call) {
  Question question{.verb = "rollout_look"};
  if (const auto site = call.args.text("SITE"); !site.empty())
    question.args.site = site;
  return show_table<control::OrderedRollouts>(call, question,
      {{"SITE", "ORDER", "VERSION", "HOST", "STATE", "BEFORE", "SAYS"}, {}},
      "no rollout was ordered", [](const control::OrderedRollouts& all, Table& table) {
        for (const auto& one : all.rollouts) {
          if (!one.problem.empty())
            table.rows.push_back({one.site, "", "", "", "", "", printable(one.problem, 300)});
          for (const auto& host : one.hosts)
            table.rows.push_back({one.site, std::to_string(one.serial), one.version, host.host,
                std::string(control::name(host.state)), printable(host.before, 80),
                printable(host.message, 300)});
        }
      });
}

Result<void> run_rollout_halt(Call& call) {
  const bool undo = call.args.has("undo");
  const std::string site = call.args.text("SITE");
  const auto done = TRY(ask_or_print<control::Done>(call,
      {.verb = undo ? "rollout_resume" : "rollout_stop",
          .args = {.site = site, .why = call.args.text("message")}}));
  if (done)
    call.terminal.print(cat(site, undo ? ": hosts may begin again" : ": no host begins"));
  return {};
}

} // namespace

extern constinit const Verb k_rollout_take{"rollout take", Group::act, Where::host,
    "give the fleet a signed order of a rollout, which `rollout run` sends", k_rollout_take_options,
    run_rollout_take};
extern constinit const Verb k_rollout_reports{"rollout reports", Group::show, Where::host,
    "show what the hosts of the fleet report of rollouts that they walk", k_rollout_reports_options,
    run_rollout_reports};
extern constinit const Verb k_rollout_halt{"rollout halt", Group::act, Where::host,
    "let no host of the fleet begin a rollout that they walk", k_rollout_halt_options,
    run_rollout_halt};

} // namespace chillbox::cli
