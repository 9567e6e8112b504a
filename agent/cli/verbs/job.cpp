// job: shows one job, step by step.
#include "cli/core/daemon.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/job_stream.hpp"
#include "cli/core/options.hpp"
#include "cli/core/progress.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"
#include "os/clock.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_job_options{
    Option{"ID", ArgKind::job, "", "id of the job, or the first four characters of it or more"},
    k_follow};

constexpr std::chrono::milliseconds k_no_end{-1};

void print_job(Terminal& terminal, const control::Job& job) {
  auto row = [&](std::string_view name, const std::string& value) {
    if (!value.empty())
      terminal.print(cat(terminal.out(Style::bold, name), std::string(10 - name.size(), ' '),
          printable(value, 1000)));
  };
  row("job", job.id);
  row("kind", std::string(name(job.kind)));
  row("site", job.site.str());
  row("version", job.version);
  row("release", job.release);
  row("previous", job.previous);
  row("by", job.actor);
  const int64_t now = os::real_clock().wall_ms();
  const auto when = [&](int64_t ms) {
    return ms == 0 ? "" : cat(format_time(ms), ", ", format_age(ms, now));
  };
  row("created", when(job.created_ms));
  row("finished", when(job.finished_ms));
  row("gap", job.gap_ms > 0 ? cat(job.gap_ms, " ms (stop-first)") : "");
  row("state",
      job.step.empty() || !is_open(job.state) ? std::string(name(job.state))
                                              : cat(name(job.state), ", step ", job.step));
  row("code", job.code ? std::string(code_name(*job.code)) : "");
  row("verdict", job.message);
}

void print_event(Terminal& terminal, const control::JobEvent& event) {
  using control::EventKind;
  const std::string time = format_time(event.time_ms);
  terminal.print(cat(terminal.out(Style::dim, time), "  ", printable(event.step, 40), "  ",
      event.kind == EventKind::log        ? "| "
          : event.kind == EventKind::info ? ""
                                          : cat(name(event.kind), event.text.empty() ? "" : ": "),
      printable(event.text, 2000)));
}

Result<void> run_job(Call& call) {
  Terminal& terminal = call.terminal;
  const bool follow = call.args.has("follow");
  std::vector<control::JobEvent> events;
  const std::string id = TRY(full_job_id(call));
  Question question{.verb = "job", .args = {.job = id, .after = 0, .follow = follow}};
  question.on_event = [&](const Json& json) {
    const auto event = control::from_json<control::JobEvent>(json);
    if (!event)
      return;
    if (!terminal.json())
      print_event(terminal, *event);
    else if (follow)
      terminal.print(dump(json));
    else
      events.push_back(*event);
  };
  if (follow)
    question.timeout = k_no_end;
  const auto text = ask_for_job(call, question);
  if (!text)
    return std::unexpected(text.error());
  auto answer = TRY(control::read_answer<control::JobAnswer>(*text));
  if (!follow)
    answer.events = std::move(events);
  if (terminal.json())
    terminal.print(control::answer_text("job", answer));
  else
    print_job(terminal, answer.job);
  return follow && !is_open(answer.job.state) ? verdict_of(answer.job) : Result<void>{};
}

} // namespace

extern constinit const Verb k_job{
    "job", Group::show, Where::host, "show one job, step by step", k_job_options, run_job};

} // namespace chillbox::cli
