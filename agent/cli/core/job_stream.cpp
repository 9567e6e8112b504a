#include "cli/core/job_stream.hpp"

#include "base/text.hpp"
#include "cli/core/interrupt.hpp"
#include "cli/core/progress.hpp"
#include "cli/core/terminal.hpp"

namespace chillbox::cli {

Result<JobView> stream_job(Call& call, Question question) {
  Terminal& terminal = call.terminal;
  Progress progress(terminal);
  std::vector<std::string> events;
  question.on_event = [&](const Json& event) {
    if (terminal.json())
      events.push_back(dump(event));
    else
      progress.event(event_from(event));
  };
  question.timeout = std::chrono::milliseconds(
      -1); // a step may be silent for long; a daemon that dies closes the connection
  print_on_interrupt("interrupted: the job keeps running; `chillboxctl jobs` shows it");
  const auto answer = ask(call.paths, question, &call.error_data);
  print_on_interrupt("");
  progress.end_line();
  if (!answer) {
    if (const auto available = member_list(call.error_data, "available"); !available.empty())
      call.hint = cat("available: ", join(available, ", "));
    progress.tell_logs();
    return std::unexpected(answer.error());
  }
  if (terminal.json())
    terminal.print(with_array(*answer, "events", events));
  return parse_job(*answer);
}

Result<void> run_job_verb(Call& call, std::string_view verb, Fields args) {
  args.emplace_back("wait", !call.args.has("no-wait"));
  const JobView job = TRY(stream_job(call, {.verb = verb, .args = std::move(args)}));
  TRY(job.ended() ? verdict_of(job) : Result<void>{});
  if (call.terminal.json())
    return {};
  if (!job.ended())
    call.terminal.print(cat("job ", printable(job.id, 40), " is ", printable(job.state, 40),
        ": chillboxctl job ", printable(job.id, 40), " -f"));
  else
    call.terminal.print(cat(printable(job.site, 40), ": ",
        job.message.empty() ? cat(verb, " done") : printable(job.message, 500)));
  return {};
}

} // namespace chillbox::cli
