// jobs: lists the newest jobs.
#include "cli/core/answer_table.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/job_stream.hpp"
#include "cli/core/options.hpp"
#include "cli/core/period.hpp"

#include "base/text.hpp"
#include "control/carried.hpp"
#include "os/clock.hpp"

#include <unistd.h>

namespace chillbox::cli {
namespace {

constexpr std::array k_jobs_options{k_site_or_all, k_limit, k_since, k_until};

// What a job that failed says of itself may begin with its step.
std::string verdict_text(const control::Job& job) {
  if (job.step.empty() || job.message.starts_with(cat(job.step, ": ")))
    return job.message;
  return cat(job.step, job.message.empty() ? "" : ": ", job.message);
}

Result<void> run_jobs(Call& call) {
  Question question{.verb = "jobs", .args = {.site = call.args.text("SITE")}};
  TRY(add_period(call.args, question.args));
  return show_table<control::JobList>(call, question,
      {{"JOB", "KIND", "SITE", "VERSION", "STATE", "BY", "CREATED", "VERDICT"}, {}}, "no job yet",
      [&](const control::JobList& list, Table& table) {
        const int64_t now = os::real_clock().wall_ms();
        for (const auto& j : list.jobs)
          table.rows.push_back({shown_id(call.terminal, j.id), std::string(name(j.kind)),
              j.site.str(), j.version, std::string(name(j.state)), j.actor,
              format_when(j.created_ms, now), verdict_text(j)});
      });
}

constexpr std::array k_jobs_import_options{
    Option{"--from", ArgKind::text, "NAME", "the name of that host", true},
};

Result<void> run_jobs_import(Call& call) {
  const Question question{
      .verb = "jobs_import", .args = {.name = call.args.text("from")}, .body = STDIN_FILENO};
  const auto answer = TRY(ask_or_print<control::JobsImported>(call, question));
  if (answer)
    call.terminal.print(cat("imported    ", answer->jobs, " jobs of ", call.args.text("from")));
  return {};
}

} // namespace

extern constinit const Verb k_jobs_import{"jobs import", Group::act, Where::host,
    "add the jobs of another host, from its `jobs --json`", k_jobs_import_options, run_jobs_import};
extern constinit const Verb k_jobs{"jobs", Group::show, Where::host,
    "show what was asked for, newest first", k_jobs_options, run_jobs};

} // namespace chillbox::cli
