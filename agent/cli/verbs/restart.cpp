// restart, stop, start: act on a site or one of its services.
#include "cli/core/job_stream.hpp"
#include "cli/core/options.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_restart_options{k_project_target, k_no_watch, k_no_wait};
constexpr std::array k_stop_options{k_target, k_no_wait};

Result<void> run_on_target(Call& call, std::string_view verb, control::Arguments more = {}) {
  const std::string target = call.args.text("SITE[/SERVICE]");
  const auto slash = target.find('/');
  more.site = target.substr(0, slash);
  more.service = slash == std::string::npos ? "" : target.substr(slash + 1);
  return run_job_verb(call, verb, std::move(more));
}

Result<void> run_restart(Call& call) {
  return run_on_target(call, "restart", {.no_watch = call.args.has("no-watch")});
}

Result<void> run_restart_stop(Call& call) {
  return run_on_target(call, "stop");
}

Result<void> run_start(Call& call) {
  return run_on_target(call, "start");
}

} // namespace

extern constinit const Verb k_restart{"restart", Group::act, Where::host,
    "start new copies, without downtime", k_restart_options, run_restart};
extern constinit const Verb k_stop{
    "stop", Group::act, Where::host, "stop serving", k_stop_options, run_restart_stop};
extern constinit const Verb k_start{
    "start", Group::act, Where::host, "serve again", k_stop_options, run_start};

} // namespace chillbox::cli
