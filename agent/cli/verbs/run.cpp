// run, runs list, show, attach, stop: commands in the environment of a site's live release.
#include "cli/core/answer_table.hpp"
#include "cli/core/attach.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/options.hpp"
#include "cli/core/period.hpp"

#include "base/text.hpp"

#include <unistd.h>

#include <algorithm>

namespace chillbox::cli {
namespace {

constexpr int k_not_started = 125;
constexpr std::chrono::seconds k_start{20}; // until its process listens
constexpr Option k_run_id{"RUN", ArgKind::number, "", "its number, as `runs list` shows it"};
constexpr std::array k_run_options{
    k_target,
    Option{"CMD", ArgKind::words, "", "the command with its arguments, after --"},
    Option{"-d,--detach", ArgKind::flag, "", "do not wait: `runs attach` shows what it prints"},
    Option{"-T,--no-terminal", ArgKind::flag, "",
        "give it pipes, though we have a terminal; without one it has pipes anyway"},
    Option{"--timeout", ArgKind::duration, "TIME",
        "end it after this time, with code 124 (default: 24h; 0s: never)"},
};
constexpr std::array k_run_list_options{k_site, k_limit, k_since, k_until};
constexpr std::array k_only_run{k_run_id};

using control::CronRun;
using control::CronState;

std::string outcome(const CronRun& run) {
  return run.state == CronState::failed && run.code ? cat("failed (", *run.code, ")")
                                                    : std::string(name(run.state));
}

std::string took(const CronRun& run) {
  return run.ended_ms == 0
      ? ""
      : format_duration(std::chrono::milliseconds(run.ended_ms - run.started_ms));
}

std::string term() {
  const std::string text = environment("TERM");
  const bool plain = std::ranges::all_of(
      text, [](char c) { return (c >= '!' && c <= '~') && c != '$' && c != '='; });
  return text.empty() || !plain || text.size() > 40 ? "dumb" : text;
}

Result<control::RunAnswer> answer_to(Call& call, const Question& question) {
  return control::read_answer<control::RunAnswer>(TRY(ask(call.paths, question, &call.error_data)));
}

Result<control::RunAnswer> show(Call& call, uint64_t id) {
  return answer_to(call, {.verb = "run_show", .args = {.number = id, .wait = false}});
}

// Of `question` about the run, once the run has ended.
Result<control::RunAnswer> answer_at_end(Call& call, uint64_t id, const Question& question) {
  const auto rest = [id] { return std::optional(end_of_run(id)); };
  return control::read_answer<control::RunAnswer>(
      TRY(ask_to_the_end(call.paths, question, rest, &call.error_data)));
}

// Passes our streams on; the exit code is the command's.
Result<void> follow(Call& call, const control::RunAnswer& answer, bool terminal,
    std::chrono::milliseconds patience) {
  auto end = attach(answer.socket, terminal, patience);
  if (!end) { // it may have ended before we came
    const auto now = show(call, answer.run.id);
    if (!now || now->run.ended_ms == 0)
      return fail(end.error().code, cat("run ", answer.run.id, ": ", end.error().message));
    end = RunEnd{now->run.code.value_or(k_not_started),
        cat("run ", now->run.id, " has ended: chillboxctl runs show ", now->run.id)};
  }
  if (!end->text.empty())
    call.terminal.print_error(
        cat(call.terminal.err(Style::bad, "chillboxctl:"), " ", printable(end->text, 2000)));
  call.exit = end->code;
  return {};
}

Result<void> run_command(Call& call) {
  const auto slash = call.args.text("SITE[/SERVICE]").find('/');
  const bool detach = call.args.has("detach"), json = call.terminal.json();
  if (!detach)
    call.error_exit = k_not_started; // what is not the command's code
  const bool terminal = !detach && !json && !call.args.has("no-terminal") &&
      ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
  const std::string target = call.args.text("SITE[/SERVICE]");
  Question question{.verb = "run", .args = {.site = target.substr(0, slash)}};
  if (slash != std::string::npos)
    question.args.service = target.substr(slash + 1);
  question.args.words = call.args.list("CMD");
  question.args.terminal = terminal;
  question.args.detach = detach || json;
  question.args.term = term();
  constexpr std::chrono::hours k_day{24};
  question.args.timeout_ms = static_cast<uint64_t>(call.args.duration("timeout", k_day).count());
  const auto begun = TRY(answer_to(call, question));
  if (json) {
    const auto end =
        detach ? begun : TRY(answer_at_end(call, begun.run.id, end_of_run(begun.run.id)));
    call.terminal.print(answer_text("run", end));
    call.exit = detach ? 0 : end.run.code.value_or(k_not_started);
    return {};
  }
  if (detach) {
    call.terminal.print(
        cat("run ", begun.run.id, " has begun: chillboxctl runs attach ", begun.run.id));
    return {};
  }
  return follow(call, begun, terminal, k_start);
}

Result<void> list_runs(Call& call) {
  Question question{.verb = "runs", .args = {.site = call.args.text("SITE")}};
  TRY(add_period(call.args, question.args));
  return show_table<control::RunList>(call, question,
      {{"RUN", "STARTED", "TOOK", "OUTCOME", "BY", "COMMAND"}, {}}, "nothing was run yet",
      [](const control::RunList& list, Table& table) {
        for (const auto& r : list.runs)
          table.rows.push_back({std::to_string(r.id), format_time(r.started_ms), took(r),
              outcome(r), r.actor, r.line});
      });
}

Result<void> show_run(Call& call) {
  const auto answer = TRY(show(call, call.args.number("RUN", 0)));
  const auto& r = answer.run;
  if (call.terminal.json()) {
    call.terminal.print(answer_text("run_show", answer));
    return {};
  }
  const std::string took_text = took(r);
  call.terminal.print(cat("run ", r.id, " of ", r.site.str(),
      r.service.empty() ? "" : cat("/", r.service), " ", r.release, ", by ", r.actor));
  call.terminal.print_line_of(cat("  ", r.line));
  call.terminal.print(cat("  ", format_time(r.started_ms), "  ", outcome(r),
      took_text.empty() ? "" : cat(" after ", took_text)));
  for (const auto line : split(r.text, '\n'))
    if (!line.empty())
      call.terminal.print_line_of(cat("  | ", line));
  call.terminal.print(cat("  all of its output: ", answer.output));
  return {};
}

Result<void> run_attach(Call& call) {
  const auto answer = TRY(show(call, call.args.number("RUN", 0)));
  if (answer.run.ended_ms != 0)
    return fail(Code::conflict,
        cat("run ", answer.run.id, " has ended: chillboxctl runs show ", answer.run.id));
  return follow(call, answer, answer.terminal && ::isatty(STDIN_FILENO) == 1, {});
}

Result<void> stop_run(Call& call) {
  const uint64_t id = call.args.number("RUN", 0);
  const auto answer = TRY(answer_at_end(call, id,
      {.verb = "run_stop", .args = {.number = id}, .timeout = std::chrono::milliseconds(60'000)}));
  call.terminal.print(call.terminal.json() ? answer_text("run_stop", answer)
                                           : cat("run ", answer.run.id, ": ", outcome(answer.run)));
  return {};
}

} // namespace

extern constinit const Verb k_run{"run", Group::act, Where::host,
    "run a command in a site's live release", k_run_options, run_command};
extern constinit const Verb k_runs_list{"runs list", Group::show, Where::host,
    "show the commands that were run in a site", k_run_list_options, list_runs};
extern constinit const Verb k_runs_show{"runs show", Group::show, Where::host,
    "show a run and the last lines of its output", k_only_run, show_run};
extern constinit const Verb k_runs_attach{"runs attach", Group::act, Where::host,
    "see and type into a command that runs", k_only_run, run_attach};
extern constinit const Verb k_runs_stop{"runs stop", Group::act, Where::host,
    "end a command: TERM, and KILL after 10 s", k_only_run, stop_run};

} // namespace chillbox::cli
