// retry: runs a failed or held job again.
#include "cli/core/job_stream.hpp"
#include "cli/core/options.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_retry_options{
    Option{"ID", ArgKind::job, "", "id of the failed or held job"},
    Option{"--allow-downgrade", ArgKind::flag, "",
        "accept an artifact that is older than the installed one"},
    Option{"--allow-jump", ArgKind::flag, "", "accept a serial that is held because it jumped far"},
    k_no_watch,
    k_no_wait,
};

Result<void> run_job_retry(Call& call) {
  const std::string id = TRY(full_job_id(call));
  return run_job_verb(call, "retry",
      {.job = id,
          .no_watch = call.args.has("no-watch"),
          .allow_downgrade = call.args.has("allow-downgrade"),
          .allow_jump = call.args.has("allow-jump")});
}

} // namespace

extern constinit const Verb k_retry{"retry", Group::act, Where::host,
    "run a failed or held job again", k_retry_options, run_job_retry};

} // namespace chillbox::cli
