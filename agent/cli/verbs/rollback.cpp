// rollback: goes back to an earlier release.
#include "cli/core/job_stream.hpp"
#include "cli/core/options.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_options{
    k_project_site,
    Option{"[VERSION]", ArgKind::release, "",
        "version or release to go to (default: the last good one)"},
    Option{"--during-hold", ArgKind::flag, "", "even while the site is on hold"},
    k_no_wait,
};

Result<void> run(Call& call) {
  return run_job_verb(call, "rollback",
      {.site = call.args.text("SITE"),
          .version = call.args.text("VERSION"),
          .during_hold = call.args.has("during-hold")});
}

} // namespace

extern constinit const Verb k_rollback{
    "rollback", Group::act, Where::host, "go back to a good release", k_options, run};

} // namespace chillbox::cli
