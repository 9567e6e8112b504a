// secrets withdraw: marks old secret sets as never to be used again.
#include "cli/core/answer_table.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_secrets_withdraw_options{k_site,
    Option{"[SERIAL]", ArgKind::number, "",
        "up to this one (default: all before the set that is in use)"},
    k_yes};

Result<void> run_secrets_withdraw(Call& call) {
  const std::string site = call.args.text("SITE");
  TRY(must_agree_at_terminal(call,
      cat("Withdraw old secret sets of '", site,
          "'? None of them is used again: this cannot be undone.")));
  const auto done = TRY(ask_or_print<control::SecretsWithdrawal>(call,
      {.verb = "secrets_withdraw",
          .args = {.site = site, .serial = call.args.number("SERIAL", 0)}}));
  if (done)
    call.terminal.print(cat("withdrawn: secret sets of '", site, "' up to the serial ",
        done->serial, " are gone: a rollback starts with the set that is in use"));
  return {};
}

} // namespace

extern constinit const Verb k_secrets_withdraw{"secrets withdraw", Group::act, Where::host,
    "never use old secret sets again", k_secrets_withdraw_options, run_secrets_withdraw};

} // namespace chillbox::cli
