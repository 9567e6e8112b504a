// remove: takes a site off the host.
#include "cli/core/job_stream.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_remove_options{
    k_site,
    Option{"--purge", ArgKind::flag, "", "also remove its data, logs and user"},
    Option{"-y,--yes", ArgKind::flag, "", "do not ask"},
    k_no_wait,
};

Result<void> run_remove(Call& call) {
  const std::string site = call.args.text("SITE");
  const bool purge = call.args.has("purge");
  if (!call.args.has("yes")) {
    const std::string loss = purge ? "its releases, secrets, data and logs are deleted"
                                   : "its releases and secrets are deleted, its data stays";
    const std::string answer =
        TRY(ask_line(cat("remove '", site, "': ", loss, ". Type the site's name to continue"),
            "asking before a site is removed", "use --yes"));
    if (trim(answer) != site)
      return fail(Code::failure,
          cat("'", printable(answer, 40), "' is not '", site, "': nothing was removed"));
  }
  return run_job_verb(call, "remove", {.site = site, .purge = purge});
}

} // namespace

extern constinit const Verb k_remove{
    "remove", Group::act, Where::host, "take a site off the host", k_remove_options, run_remove};

} // namespace chillbox::cli
