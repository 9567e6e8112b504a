// hold, release-hold: refuse the deploys of a site for a while, and accept them again.
#include "cli/core/answer_table.hpp"
#include "cli/core/options.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_hold_options{
    k_site, Option{"-m,--message", ArgKind::text, "WHY", "the reason that a refusal gives", true}};

Result<void> run_hold(Call& call) {
  const std::string site = call.args.text("SITE");
  const std::string answer = TRY(
      ask(call.paths, {.verb = "hold", .args = {.site = site, .why = call.args.text("message")}},
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
  const auto released = TRY(
      ask_or_print<control::HoldReleased>(call, {.verb = "release_hold", .args = {.site = site}}));
  if (released)
    call.terminal.print(cat(released->was_held ? "released: '" : "unchanged: '", site,
        "' is not held: deploys are taken"));
  return {};
}

} // namespace

extern constinit const Verb k_hold{"hold", Group::act, Where::host,
    "refuse deploys of a site, and all that comes by webhook, until released", k_hold_options,
    run_hold};
extern constinit const Verb k_release_hold{
    "release-hold", Group::act, Where::host, "end a hold", k_only_site, run_release_hold};

} // namespace chillbox::cli
