// logs: prints what the services of a site wrote.
#include "cli/core/daemon.hpp"
#include "cli/core/options.hpp"
#include "cli/core/reply.hpp"
#include "cli/core/terminal.hpp"
#include "control/json.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_options{k_target, k_follow, k_limit};

constexpr std::chrono::milliseconds k_for_ever{-1};
constexpr uint64_t k_default_lines = 100;

Result<void> run(Call& call) {
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

} // namespace

extern constinit const Verb k_logs{
    "logs", Group::show, Where::host, "show what the services wrote", k_options, run};

} // namespace chillbox::cli
