// cron list, cron history, cron run: show the crontab of a site and its runs, and run an entry.
#include "cli/core/answer_table.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/interrupt.hpp"
#include "cli/core/options.hpp"
#include "cli/core/period.hpp"

#include "base/text.hpp"
#include "os/clock.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_cron_history_options{k_site, k_limit, k_since, k_until};
constexpr std::array k_cron_run_options{
    k_site,
    Option{"N", ArgKind::number, "", "number of the entry, as `cron list` shows it"},
    Option{"--no-wait", ArgKind::flag, "", "do not wait for its end"},
};

using control::CronRun;
using control::CronState;

// "done", "failed (3)", "skipped, 4 times".
std::string run_outcome(const CronRun& run) {
  if (run.state == CronState::failed && run.code)
    return cat("failed (", *run.code, ")");
  return cat(name(run.state), run.count > 1 ? cat(", ", run.count, " times") : "");
}

std::string last_line(const std::string& text) {
  return printable(std::string_view(text).substr(text.rfind('\n') + 1), 60);
}

std::string run_took(const CronRun& run) {
  return run.ended_ms == 0 || run.state == CronState::skipped
      ? ""
      : format_duration(std::chrono::milliseconds(run.ended_ms - run.started_ms));
}

Result<void> run_cron_list(Call& call) {
  const Question question{.verb = "cron_list", .args = {.site = call.args.text("SITE")}};
  return show_table<control::CronList>(call, question,
      {{"N", "NEXT", "LAST", "OUTCOME", "ENTRY"}, {}}, "no crontab, or the site is stopped",
      [now = os::real_clock().wall_ms()](const control::CronList& list, Table& table) {
        for (const auto& e : list.entries)
          table.rows.push_back({std::to_string(e.number),
              !e.elsewhere.empty() ? e.elsewhere
                  : e.next_ms == 0 ? "never"
                                   : format_when(e.next_ms, now),
              e.last ? format_when(e.last->started_ms, now) : "",
              e.last ? run_outcome(*e.last) : "", e.line});
      });
}

Result<void> run_cron_history(Call& call) {
  Question question{.verb = "cron_history", .args = {.site = call.args.text("SITE")}};
  TRY(add_period(call.args, question.args));
  return show_table<control::CronHistory>(call, question,
      {{"RUN", "STARTED", "TOOK", "OUTCOME", "BY", "ENTRY", "LAST LINE"}, {}},
      "no entry has run yet",
      [now = os::real_clock().wall_ms()](const control::CronHistory& history, Table& table) {
        for (const auto& r : history.runs)
          table.rows.push_back({std::to_string(r.id), format_when(r.started_ms, now), run_took(r),
              run_outcome(r), r.actor.empty() ? "schedule" : r.actor, r.line, last_line(r.text)});
      });
}

// Prints the command's last lines; our exit code depends on the command's.
Result<void> run_cron_run(Call& call) {
  const bool wait = !call.args.has("no-wait");
  uint64_t id = 0;
  const Question question{.verb = "cron_run",
      .args = {.site = call.args.text("SITE"), .number = call.args.number("N", 0), .wait = wait},
      .on_event = [&](const Json& json) { id = control::u64_or(json, "run", 0); },
      .timeout = std::chrono::milliseconds(wait ? -1 : 30'000)};
  const auto rest = [&] { return id == 0 ? std::nullopt : std::optional(end_of_run(id)); };
  print_on_interrupt(cat("interrupted: the run continues; `chillboxctl cron history ",
      call.args.text("SITE"), "` shows it"));
  const auto answer = ask_to_the_end(call.paths, question, rest, &call.error_data);
  print_on_interrupt("");
  if (!answer)
    return std::unexpected(answer.error());
  const CronRun run = TRY(control::read_answer<control::CronAnswer>(*answer)).run;
  if (call.terminal.json())
    call.terminal.print(control::answer_text("cron_run", control::CronAnswer{run}));
  else if (!wait)
    call.terminal.print(
        cat("run ", run.id, " has begun: chillboxctl cron history ", run.site.str()));
  else
    for (const auto line : split(run.text, '\n'))
      call.terminal.print(printable(line, 500));
  if (run.state == CronState::failed)
    return fail(Code::failure, cat("run ", run.id, " ended with code ", run.code.value_or(-1)));
  return run.state == CronState::lost
      ? fail(Code::failure, cat("run ", run.id, ": ", printable(run.text)))
      : Result<void>{};
}

} // namespace

extern constinit const Verb k_cron_list{"cron list", Group::show, Where::host,
    "show the crontab of a site, and when its entries are due", k_only_site, run_cron_list};
extern constinit const Verb k_cron_history{"cron history", Group::show, Where::host,
    "show the runs of a site's crontab, newest first", k_cron_history_options, run_cron_history};
extern constinit const Verb k_cron_run{"cron run", Group::act, Where::host,
    "run an entry of a site's crontab now", k_cron_run_options, run_cron_run};

} // namespace chillbox::cli
