// job: shows one job, step by step.
#include "cli/core/daemon.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/options.hpp"
#include "cli/core/progress.hpp"
#include "cli/core/reply.hpp"
#include "cli/core/terminal.hpp"
#include "control/json.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_options{Option{"ID", ArgKind::job, "", "id of the job"}, k_follow};

constexpr std::chrono::milliseconds k_for_ever{-1};

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

Result<void> run(Call& call) {
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

} // namespace

extern constinit const Verb k_job{
    "job", Group::show, Where::host, "show one job, step by step", k_options, run};

} // namespace chillbox::cli
