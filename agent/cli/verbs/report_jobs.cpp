// report jobs: who deployed what, how long it took, how often it failed.
#include "cli/core/answers.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/options.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"
#include "cli/report/all_jobs.hpp"
#include "cli/report/job_report.hpp"

#include "base/text.hpp"
#include "os/clock.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_report_jobs_options{k_site_or_all, k_since, k_until,
    Option{"--csv", ArgKind::flag, "", "print a line for each job, for a spreadsheet"}};

constexpr int64_t k_month_ms = int64_t{30} * 86'400'000;

Result<void> run_report_jobs(Call& call) {
  const int64_t now = os::real_clock().wall_ms();
  Period period = TRY(period_from(call.args, now));
  if (!call.args.has("since"))
    period.since_ms = std::min(now, period.until_ms) - k_month_ms;
  period.until_ms = std::min(period.until_ms, now);
  JobReport report{
      .since_ms = period.since_ms, .until_ms = period.until_ms, .sums = {}, .jobs = {}};
  report.jobs = TRY(all_jobs(call, call.args.text("SITE"), period));
  report.sums = sums_of(report.jobs);
  if (call.terminal.json() && call.args.has("csv"))
    return fail(Code::usage, "--csv or --json, not both");
  if (call.terminal.json()) {
    call.terminal.print(control::answer_text("report_jobs", report));
    return {};
  }
  if (call.args.has("csv")) {
    std::string csv = csv_of(report.jobs);
    csv.pop_back(); // print() ends the line
    call.terminal.print(csv);
    return {};
  }
  Table table{{"SITE", "KIND", "BY", "JOBS", "FAILED", "MEDIAN", "LONGEST"}, {}};
  for (const auto& sum : report.sums)
    table.rows.push_back({sum.site, sum.kind, sum.actor, std::to_string(sum.jobs),
        sum.failed == 0 ? "0" : cat(sum.failed, " (", sum.failed * 100 / sum.jobs, " %)"),
        format_duration(std::chrono::milliseconds(sum.median_ms)),
        format_duration(std::chrono::milliseconds(sum.longest_ms))});
  print_table(call.terminal, table, "no job has ended then");
  return {};
}

} // namespace

extern constinit const Verb k_report_jobs{"report jobs", Group::show, Where::host,
    "show who deployed what, how long it took and how often it failed", k_report_jobs_options,
    run_report_jobs};

} // namespace chillbox::cli
