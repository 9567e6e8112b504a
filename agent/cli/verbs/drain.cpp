// drain, undrain: tell load balancers and DNS checks, which ask for /SITE/ready, to send visitors
// elsewhere, and that they may come again.
#include "cli/core/answer_table.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/options.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"
#include "os/clock.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_drain_options{
    k_site_or_all,
    Option{"-w,--wait", ArgKind::duration, "TIME",
        "end only after this time, so that all who ask have noticed: their interval times their threshold, and the TTL of a name"},
};
constexpr std::array k_drain_undrain_options{k_site_or_all};

Result<void> set(
    Call& call, std::string_view of_site, std::string_view of_host, std::string_view said) {
  const std::string site = call.args.text("SITE");
  const auto answer = TRY(ask_or_print<control::Drained>(call,
      site.empty() ? Question{.verb = of_host}
                   : Question{.verb = of_site, .args = {.site = site}}));
  if (answer)
    call.terminal.print(cat(site.empty() ? "host" : site, ": ",
        answer->was == answer->drained ? "unchanged: " : "", said));
  return {};
}

Result<void> run_drain(Call& call) {
  const auto wait = call.args.has("wait") ? TRY(parse_duration(call.args.text("wait")))
                                          : std::chrono::milliseconds(0);
  TRY(set(call, "drain", "drain_host", "load balancers send visitors elsewhere"));
  os::real_clock().sleep(wait); // as long as was asked: who checks is not known here
  return {};
}

Result<void> run_undrain(Call& call) {
  return set(call, "undrain", "undrain_host", "load balancers may send visitors here");
}

} // namespace

extern constinit const Verb k_drain{"drain", Group::act, Where::host,
    "tell load balancers to send visitors elsewhere (/SITE/ready answers 503)", k_drain_options,
    run_drain};
extern constinit const Verb k_undrain{"undrain", Group::act, Where::host,
    "tell load balancers that visitors may come again", k_drain_undrain_options, run_undrain};

} // namespace chillbox::cli
