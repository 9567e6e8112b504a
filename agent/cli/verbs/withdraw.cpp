// withdraw: marks a release as never to be started again.
#include "cli/core/answer_table.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_withdraw_options{
    k_site,
    Option{"VERSION", ArgKind::any_release, "",
        "release that is never good again, or version: all its releases"},
    Option{"-m,--message", ArgKind::text, "WHY", "the reason that a refusal gives"},
    k_yes,
};

Result<void> run_withdraw(Call& call) {
  const std::string site = call.args.text("SITE"), version = call.args.text("VERSION");
  TRY(must_agree_at_terminal(call,
      cat("Withdraw ", printable(version, 60), " of '", site,
          "'? It is never started again, nor deployed: this cannot be undone.")));
  const auto done = TRY(ask_or_print<control::Withdrawal>(call,
      {.verb = "withdraw",
          .args = {.site = site, .version = version, .why = call.args.text("message")}}));
  if (!done)
    return {};
  const size_t count = done->releases.size();
  call.terminal.print(cat("withdrawn: ",
      count > 1 ? cat("all ", count, " releases of ", printable(version, 60), ", ") : "",
      join(done->releases, ", "), " of '", site,
      count > 1 ? "': none of them is started again, nor deployed"
                : "' is never started again, nor deployed"));
  if (!done->live.empty())
    call.terminal.print_status(cat(printable(done->live, 100),
        " is live, and runs until it is replaced or the host is rebooted: deploy another version, `chillboxctl rollback ",
        site, "`, or `chillboxctl stop ", site, "`"));
  return {};
}

} // namespace

extern constinit const Verb k_withdraw{"withdraw", Group::act, Where::host,
    "mark a release as never good again", k_withdraw_options, run_withdraw};

} // namespace chillbox::cli
