#include "cli/core/job_stream.hpp"

#include "base/text.hpp"
#include "cli/core/interrupt.hpp"
#include "cli/core/progress.hpp"
#include "cli/core/terminal.hpp"

#include <algorithm>
#include <utility>

namespace chillbox::cli {

Result<std::string> ask_for_job(Call& call, Question question) {
  std::string id = question.args.job.value_or("");
  uint64_t seen = question.args.after.value_or(0);
  question.on_event = [&, heard = std::move(question.on_event)](const Json& json) {
    if (const std::string named = control::string_or(json, "job", ""); !named.empty()) {
      id = named;
      return;
    }
    seen = std::max(seen, control::u64_or(json, "number", 0));
    heard(json);
  };
  const bool is_order = question.verb != "job";
  bool asked_again = false;
  const auto rest = [&] {
    std::optional<Question> next;
    if (!id.empty() && (is_order || question.args.follow.value_or(false))) {
      next = question;
      next->verb = "job";
      next->args = {.job = id, .after = seen, .follow = true};
      asked_again = true;
    }
    return next;
  };
  auto text = ask_to_the_end(call.paths, question, rest, &call.error_data);
  if (!text || !is_order || !asked_again)
    return text;
  const auto job = TRY(control::read_answer<control::JobAnswer>(*text)).job;
  if (!is_open(job.state) && job.code)
    return fail(*job.code, job.message);
  return text;
}

Result<control::Job> stream_job(Call& call, Question question) {
  Terminal& terminal = call.terminal;
  Progress progress(terminal);
  std::vector<control::JobEvent> events;
  question.on_event = [&](const Json& json) {
    auto event = control::from_json<control::JobEvent>(json);
    if (event && terminal.json())
      events.push_back(std::move(*event));
    else if (event)
      progress.event(*event);
  };
  question.timeout = std::chrono::milliseconds(
      -1); // a step may be silent for long; a daemon that dies closes the connection
  print_on_interrupt("interrupted: the job keeps running; `chillboxctl jobs` shows it");
  const auto text = ask_for_job(call, question);
  print_on_interrupt("");
  progress.end_line();
  if (!text) {
    if (const auto& available = call.error_data.available; available && !available->empty())
      call.hint = cat("available: ", join(*available, ", "));
    progress.tell_logs(text.error().message);
    return std::unexpected(text.error());
  }
  auto answer = TRY(control::read_answer<control::JobAnswer>(*text));
  answer.events = std::move(events);
  if (terminal.json())
    terminal.print(control::answer_text(question.verb, answer));
  return std::move(answer.job);
}

Result<std::string> full_job_id(Call& call) {
  constexpr size_t k_whole = 16, k_least = 4;
  constexpr uint64_t k_newest = 1000;
  const std::string text = call.args.text("ID");
  if (text.size() >= k_whole || text.size() < k_least)
    return text;
  const auto list = TRY(control::read_answer<control::JobList>(
      TRY(ask(call.paths, {.verb = "jobs", .args = {.limit = k_newest}}))));
  std::vector<std::string> found;
  for (const auto& job : list.jobs)
    if (job.id.starts_with(text))
      found.push_back(job.id);
  if (found.size() > 1)
    return fail(
        Code::usage, cat("'", printable(text, 40), "' is the beginning of ", join(found, ", ")));
  return found.empty() ? text : found.front(); // the daemon says that there is none
}

std::string shown_id(const Terminal& terminal, const std::string& id) {
  return terminal.out_is_terminal() ? id.substr(0, 8) : id;
}

Result<void> run_job_verb(Call& call, std::string_view verb, control::Arguments args) {
  args.wait = !call.args.has("no-wait");
  const auto job = TRY(stream_job(call, {.verb = verb, .args = std::move(args)}));
  const bool ended = !is_open(job.state);
  TRY(ended ? verdict_of(job) : Result<void>{});
  if (call.terminal.json())
    return {};
  const std::string id = printable(job.id, 40);
  if (!ended)
    call.terminal.print(cat("job ", id, " is ", name(job.state), ": chillboxctl job ", id, " -f"));
  else
    call.terminal.print(cat(job.site.str(), ": ",
        job.message.empty() ? cat(verb, " done") : printable(job.message, 500)));
  return {};
}

} // namespace chillbox::cli
