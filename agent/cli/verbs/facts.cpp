// facts: what a laptop needs to know of a host before it packs.
#include "cli/core/answer_table.hpp"
#include "cli/core/options.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/machine_facts.hpp"

#include "base/text.hpp"

#include <array>

namespace chillbox::cli {
namespace {

constexpr std::array k_facts_options{
    Option{"[SITE]", ArgKind::text, "", "what is live of this site, too; it need not exist yet"}};

void print_site(Terminal& terminal, const control::SiteFacts& site) {
  terminal.print(cat("live         ",
      site.version.empty() ? "nothing"
                           : cat(site.version, ", signed by ", printable(site.signer, 80))));
  if (!site.url.empty())
    terminal.print(cat("url          ", printable(site.url, 300)));
  terminal.print(cat("serial       ", site.serial, ", of secrets ", site.secrets_serial));
}

Result<void> run_facts(Call& call) {
  control::Arguments args;
  if (call.args.has("SITE"))
    args.site = call.args.text("SITE");
  const std::string text = TRY(ask(call.paths, {.verb = "facts", .args = args}, &call.error_data));
  auto facts = TRY(control::read_answer<control::Facts>(text));
  add_machine_facts(facts);
  Terminal& terminal = call.terminal;
  if (terminal.json()) {
    terminal.print(control::answer_text("facts", facts));
    return {};
  }
  const auto or_none = [](const std::string& value) {
    return value.empty() ? std::string("-") : printable(value, 200);
  };
  terminal.print(cat("host         ", or_none(facts.server_name), ", chillboxd ",
      printable(facts.version, 40), facts.sealed ? ", locked" : ", unlocked"));
  terminal.print(cat("machine      ", or_none(facts.os), ", ", or_none(facts.arch), ", ",
      or_none(facts.libc), ", Python ", or_none(facts.python)));
  terminal.print(cat("recipient    ", or_none(facts.recipient)));
  for (const auto& deployer : facts.deployers)
    terminal.print(cat("trusts       ", printable(deployer.name, 80), "  ", deployer.id,
        deployer.sites.empty() ? "" : cat("  ", join(deployer.sites, ","))));
  terminal.print(cat("sites        ", or_none(join(facts.sites, ", "))));
  if (facts.site)
    print_site(terminal, *facts.site);
  return {};
}

} // namespace

extern constinit const Verb k_facts{"facts", Group::show, Where::host,
    "show what a laptop needs to know before it packs", k_facts_options, run_facts};

} // namespace chillbox::cli
