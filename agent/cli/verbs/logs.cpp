// logs: prints what the services of a site wrote.
#include "cli/core/daemon.hpp"
#include "cli/core/options.hpp"

#include "cli/core/terminal.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_options{k_project_target, k_follow, k_limit};

constexpr std::chrono::milliseconds k_for_ever{-1};
constexpr uint64_t k_default_lines = 100;

Result<void> run(Call& call) {
  Terminal& terminal = call.terminal;
  const std::string target = call.args.text("SITE[/SERVICE]");
  const auto slash = target.find('/');
  const bool follow = call.args.has("follow");
  const bool one_service = slash != std::string::npos;
  control::Log log;
  Question question{.verb = "logs",
      .args = {.site = target.substr(0, slash),
          .service = one_service ? target.substr(slash + 1) : "",
          .lines = call.args.number("lines", k_default_lines),
          .follow = follow}};
  question.on_event = [&](const Json& json) {
    const auto event = control::from_json<control::LogLine>(json);
    if (!event)
      return;
    if (!terminal.json())
      terminal.print_line_of(one_service ? event->line : cat(event->service, ": ", event->line));
    else if (follow)
      terminal.print(dump(json));
    else
      log.lines->push_back(*event);
  };
  if (follow)
    question.timeout = k_for_ever;
  else
    log.lines.emplace();
  const auto answer = ask(call.paths, question, &call.error_data);
  if (!answer)
    return std::unexpected(answer.error());
  if (terminal.json())
    terminal.print(control::answer_text("logs", log));
  return {};
}

} // namespace

extern constinit const Verb k_logs{
    "logs", Group::show, Where::host, "show what the services wrote", k_options, run};

} // namespace chillbox::cli
