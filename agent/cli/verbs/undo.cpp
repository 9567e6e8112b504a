// undo: names the last change of a site and takes it back, after a yes. It is the plumbing that a
// person would type: rollback, start, stop, maintenance off, undrain, release-hold. What destroys
// is not undone.
#include "cli/core/daemon.hpp"
#include "cli/core/data_loss.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/job_stream.hpp"
#include "cli/core/last_change.hpp"
#include "cli/core/options.hpp"
#include "cli/core/progress.hpp"
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
  std::vector<std::string> services = {}; // stopped one after the other, instead of args.service
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

Undo back_to(const std::string& site, const control::Job& job, std::string change) {
  const bool with_data = job.kind == control::JobKind::restore || job.options.with_data;
  const std::string release = job.kind == control::JobKind::restore ? job.release : job.previous;
  return {std::move(change), cat("rollback ", site, " ", release, with_data ? " --with-data" : ""),
      "rollback", {.site = site, .version = release, .with_data = with_data}};
}

Result<Undo> undo_of(const std::string& site, const LastChange& last, int64_t now) {
  const control::Job& job = last.job;
  const std::string by = cat(" by ", job.actor, ", ", format_age(job.finished_ms, now));
  const auto at = [&](const std::string& service) {
    return service.empty() ? site : cat(site, "/", service);
  };
  if (!last.started.empty()) {
    std::vector<std::string> started;
    for (const auto& service : last.started)
      started.push_back(at(service));
    return Undo{cat(name(job.kind), by, ", which started ", join(started, ", ")),
        cat("stop ", join(started, " && chillboxctl stop ")), "stop", {.site = site}, true,
        last.started};
  }
  switch (job.kind) {
  case control::JobKind::deploy:
    if (job.previous.empty())
      return fail(Code::conflict,
          cat("the last change is the first deploy of '", site, "': `chillboxctl remove ", site,
              "` takes it off the host"));
    return back_to(site, job, cat("deploy of ", job.version, by));
  case control::JobKind::rollback:
    if (job.previous.empty())
      break;
    return back_to(site, job,
        cat("rollback to ", job.release, job.options.with_data ? " with the data" : "", by));
  case control::JobKind::restore: return back_to(site, job, cat("restore of the data", by));
  case control::JobKind::stop:
    return Undo{cat("stop of ", at(job.service), by), cat("start ", at(job.service)), "start",
        {.site = site, .service = job.service}};
  default: break;
  }
  return fail(
      Code::conflict, cat("the last change (", name(job.kind), by, ") cannot be taken back"));
}

// A release may be withdrawn since: nothing goes back to it, and a rollback of it would be refused.
Result<void> check_release(Call& call, const std::string& site, const Undo& undo) {
  if (undo.verb != "rollback")
    return {};
  const auto text = ask(call.paths, {.verb = "releases", .args = {.site = site}});
  const auto list = text ? control::read_answer<control::ReleaseList>(*text)
                         : Result<control::ReleaseList>(std::unexpected(text.error()));
  if (!list)
    return {}; // the rollback says what is wrong
  const auto found = std::ranges::find(list->releases, undo.args.version, &control::Release::id);
  if (found != list->releases.end() && found->withdrawn)
    return fail(Code::conflict,
        cat("the last change is the ", printable(undo.change, 300), ", and ", found->id,
            " before it was withdrawn: deploy another version, or `chillboxctl releases ", site,
            "` shows what `rollback` may go to"));
  return {};
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
  const auto last = last_change(jobs.jobs);
  if (!last)
    return fail(
        Code::not_found, cat("nothing was changed at '", site, "' that could be taken back"));
  return undo_of(site, *last, os::real_clock().wall_ms());
}

// With --json one object is printed, as `jobs` does.
Result<void> stop_in_one_answer(
    Call& call, const std::string& site, const std::vector<std::string>& services) {
  control::JobList list;
  Result<void> done;
  for (auto service = services.begin(); done && service != services.end(); ++service) {
    const auto text = TRY(ask(call.paths,
        {.verb = "stop",
            .args = {.site = site, .service = *service, .wait = true},
            .timeout = std::chrono::milliseconds(-1)},
        &call.error_data));
    list.jobs.push_back(TRY(control::read_answer<control::JobAnswer>(text)).job);
    done = verdict_of(list.jobs.back());
  }
  call.terminal.print(control::answer_text("jobs", list));
  return done;
}

Result<void> run_undo(Call& call) {
  const std::string site = call.args.text("SITE");
  const Undo undo = TRY(find_undo(call, site));
  TRY(check_release(call, site, undo));
  if (!call.args.has("yes")) {
    call.terminal.print_status(cat("last change  ", printable(undo.change, 300)));
    call.terminal.print_status(cat("undo         chillboxctl ", undo.command));
  }
  if (undo.args.with_data.value_or(false))
    (void)TRY(show_data_loss(call, site, *undo.args.version));
  TRY(must_agree(call, "Do it?", false));
  if (undo.services.size() > 1 && call.terminal.json())
    return stop_in_one_answer(call, site, undo.services);
  for (const auto& service : undo.services)
    TRY(run_job_verb(call, undo.verb, {.site = site, .service = service}));
  if (!undo.services.empty())
    return {};
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
