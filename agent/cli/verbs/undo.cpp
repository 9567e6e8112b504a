// undo: names the last change of a site and takes it back, after a yes. It is the plumbing that a
// person would type: rollback, start, maintenance off, release-hold. What destroys is not undone.
#include "cli/core/daemon.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/job_stream.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"
#include "os/clock.hpp"

#include <algorithm>

namespace chillbox::cli {
namespace {

constexpr std::array k_undo_options{k_site, Option{"-y,--yes", ArgKind::flag, "", "do not ask"}};

struct Undo {
  std::string change;  // "deploy of 0.2.0 by jo, 2 min ago"
  std::string command; // what takes it back, as a person would type it
  std::string verb;
  control::Arguments args;
  bool is_job = true;
};

// What is switched on comes first: visitors see nothing else, or nothing can be deployed.
std::optional<Undo> undo_of(const control::SiteStatus& status) {
  const std::string& site = status.site;
  if (status.maintenance)
    return Undo{"maintenance is on", cat("maintenance off ", site), "maintenance_off",
        {.site = site}, false};
  if (status.drained)
    return Undo{"the site is drained", cat("undrain ", site), "undrain", {.site = site}, false};
  if (status.hold)
    return Undo{cat("the site is on hold: ", status.hold->why), cat("release-hold ", site),
        "release_hold", {.site = site}, false};
  return std::nullopt;
}

Result<Undo> undo_of(const std::string& site, const control::Job& job, int64_t now) {
  const std::string by = cat(" by ", job.actor, ", ", format_age(job.finished_ms, now));
  switch (job.kind) {
  case control::JobKind::deploy:
    if (job.previous.empty())
      return fail(Code::conflict,
          cat("the last change is the first deploy of '", site, "': `chillboxctl remove ", site,
              "` takes it off the host"));
    return Undo{cat("deploy of ", job.version, by), cat("rollback ", site, " ", job.previous),
        "rollback", {.site = site, .version = job.previous}};
  case control::JobKind::rollback:
    if (job.previous.empty())
      break;
    return Undo{cat("rollback to ", job.release, by), cat("rollback ", site, " ", job.previous),
        "rollback", {.site = site, .version = job.previous}};
  case control::JobKind::restore:
    return Undo{cat("restore of the data", by),
        cat("rollback ", site, " ", job.release, " --with-data"), "rollback",
        {.site = site, .version = job.release, .with_data = true}};
  case control::JobKind::stop:
    return Undo{cat("stop", by), cat("start ", site), "start", {.site = site}};
  case control::JobKind::start:
    return Undo{cat("start", by), cat("stop ", site), "stop", {.site = site}};
  default: break;
  }
  return fail(
      Code::conflict, cat("the last change (", name(job.kind), by, ") cannot be taken back"));
}

bool changed_something(const control::Job& job) {
  using control::JobKind;
  return job.state == control::JobState::done && job.kind != JobKind::ping &&
      job.kind != JobKind::restart && job.kind != JobKind::watch;
}

Result<Undo> find_undo(Call& call, const std::string& site) {
  const auto list =
      TRY(control::read_answer<control::SiteList>(TRY(ask(call.paths, {.verb = "sites"}))));
  const auto here = std::ranges::find(list.sites, site, &control::SiteStatus::site);
  if (here != list.sites.end())
    if (auto switched = undo_of(*here))
      return std::move(*switched);
  const auto jobs = TRY(control::read_answer<control::JobList>(
      TRY(ask(call.paths, {.verb = "jobs", .args = {.site = site, .limit = 100}}))));
  const auto last = std::ranges::find_if(jobs.jobs, changed_something);
  if (last == jobs.jobs.end())
    return fail(
        Code::not_found, cat("nothing was changed at '", site, "' that could be taken back"));
  return undo_of(site, *last, os::real_clock().wall_ms());
}

Result<void> run_undo(Call& call) {
  const std::string site = call.args.text("SITE");
  const Undo undo = TRY(find_undo(call, site));
  if (!call.args.has("yes")) {
    call.terminal.print_status(cat("last change  ", printable(undo.change, 300)));
    call.terminal.print_status(cat("undo         chillboxctl ", undo.command));
    TRY(must_agree(call, "Do it?", false));
  }
  if (undo.is_job)
    return run_job_verb(call, undo.verb, undo.args);
  const std::string text =
      TRY(ask(call.paths, {.verb = undo.verb, .args = undo.args}, &call.error_data));
  call.terminal.print(call.terminal.json() ? text : cat("done: chillboxctl ", undo.command));
  return {};
}

} // namespace

extern constinit const Verb k_undo{"undo", Group::act, Where::host,
    "take the last change of a site back, after a yes", k_undo_options, run_undo};

} // namespace chillbox::cli
