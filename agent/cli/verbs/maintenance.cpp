// maintenance on, maintenance off: show visitors a page instead of the site.
#include "cli/core/answer_table.hpp"

#include "cli/core/options.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_maintenance_on_options{
    k_site,
    Option{"-m,--message", ArgKind::text, "TEXT",
        "what the page says (default: that the site is back soon)"},
};

Result<void> set_maintenance(Call& call, bool on, const Question& question, std::string_view said) {
  const auto answer = TRY(ask_or_print<control::Maintenance>(call, question));
  if (answer)
    call.terminal.print(
        cat(call.args.text("SITE"), ": ", answer->was == on ? "unchanged: " : "", said));
  return {};
}

Result<void> run_maintenance_on(Call& call) {
  Question question{.verb = "maintenance_on", .args = {.site = call.args.text("SITE")}};
  if (call.args.has("message")) // else a page that is shown keeps its words
    question.args.message = call.args.text("message");
  return set_maintenance(call, true, question, "visitors get the maintenance page");
}

Result<void> run_maintenance_off(Call& call) {
  return set_maintenance(call, false,
      {.verb = "maintenance_off", .args = {.site = call.args.text("SITE")}}, "visitors are let in");
}

} // namespace

extern constinit const Verb k_maintenance_on{"maintenance on", Group::act, Where::host,
    "answer every visitor of a site with 503 and a page", k_maintenance_on_options,
    run_maintenance_on};
extern constinit const Verb k_maintenance_off{"maintenance off", Group::act, Where::host,
    "let visitors in again", k_only_site, run_maintenance_off};

} // namespace chillbox::cli
