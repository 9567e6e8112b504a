// job, logs: what was and what comes.
#include "cli/core/daemon.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/progress.hpp"
#include "cli/core/reply.hpp"
#include "cli/core/terminal.hpp"
#include "cli/core/verbs.hpp"
#include "control/json.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

constexpr std::chrono::milliseconds k_for_ever{-1};
constexpr uint64_t k_default_lines = 100;

void print_job(Terminal& terminal, const JobView& job) {
  auto row = [&](std::string_view name, const std::string& value) {
    if (!value.empty())
      terminal.print(cat(terminal.out(Style::bold, name), std::string(10 - name.size(), ' '),
          printable(value, 1000)));
  };
  row("job", job.id);
  row("kind", job.kind);
  row("site", job.site);
  row("version", job.version);
  row("release", job.release);
  row("previous", job.previous);
  row("by", job.actor);
  row("created", format_time(job.created_ms));
  row("finished", format_time(job.finished_ms));
  row("gap", job.gap_ms > 0 ? cat(job.gap_ms, " ms (stop-first)") : "");
  row("state", job.step.empty() || job.ended() ? job.state : cat(job.state, ", step ", job.step));
  row("code", job.code);
  row("verdict", job.message);
}

void print_event(Terminal& terminal, const JobEvent& event) {
  const std::string time = format_time(event.time_ms);
  terminal.print(cat(terminal.out(Style::dim, time), "  ", printable(event.step, 40), "  ",
      event.kind == "log"        ? "| "
          : event.kind == "info" ? ""
                                 : cat(event.kind, event.text.empty() ? "" : ": "),
      printable(event.text, 2000)));
}

} // namespace

Result<void> run_job(Call& call) {
  Terminal& terminal = call.terminal;
  const bool follow = call.args.has("follow");
  std::vector<std::string> events;
  Question question{.verb = "job",
      .args = {{"job", call.args.text("ID")}, {"follow", follow}, {"after", uint64_t{0}}}};
  question.on_event = [&](const Json& event) {
    if (!terminal.json())
      print_event(terminal, event_from(event));
    else if (follow)
      terminal.print(dump(event));
    else
      events.push_back(dump(event));
  };
  if (follow)
    question.timeout = k_for_ever;
  const auto answer = ask(call.paths, question, &call.error_data);
  if (!answer)
    return std::unexpected(answer.error());
  const JobView job = TRY(parse_job(*answer));
  if (terminal.json())
    terminal.print(follow ? *answer : with_array(*answer, "events", events));
  else
    print_job(terminal, job);
  return follow && job.ended() ? verdict_of(job) : Result<void>{};
}

Result<void> run_logs(Call& call) {
  Terminal& terminal = call.terminal;
  const std::string target = call.args.text("SITE[/SERVICE]");
  const auto slash = target.find('/');
  const bool follow = call.args.has("follow");
  const bool one_service = slash != std::string::npos;
  std::vector<std::string> lines;
  Question question{.verb = "logs",
      .args = {{"site", target.substr(0, slash)},
          {"service", one_service ? target.substr(slash + 1) : ""},
          {"lines", call.args.number("lines", k_default_lines)}, {"follow", follow}}};
  question.on_event = [&](const Json& event) {
    const std::string line = control::string_or(event, "line", "");
    if (terminal.json() && follow)
      terminal.print(dump(event));
    else if (terminal.json())
      lines.push_back(dump(event));
    else
      terminal.print_line_of(
          one_service ? line : cat(control::string_or(event, "service", ""), ": ", line));
  };
  if (follow)
    question.timeout = k_for_ever;
  const auto answer = ask(call.paths, question, &call.error_data);
  if (!answer)
    return std::unexpected(answer.error());
  if (terminal.json())
    terminal.print(follow ? *answer : with_array(*answer, "lines", lines));
  return {};
}

} // namespace chillbox::cli
