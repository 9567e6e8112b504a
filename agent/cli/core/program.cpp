#include "cli/core/program.hpp"

#include "base/text.hpp"
#include "cli/core/answers.hpp"
#include "cli/core/arguments.hpp"
#include "cli/core/complete.hpp"
#include "cli/core/gate.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/fleet_run.hpp"
#include "cli/laptop/agent.hpp"
#include "cli/laptop/defaults.hpp"
#include "cli/laptop/git_remote.hpp"
#include "courier/courier.hpp"

#include <algorithm>

namespace chillbox::cli {
namespace {

// Prints "chillboxctl: MESSAGE", once for each line: a file may have several problems.
void print_error(Terminal& terminal, std::string_view message, std::string_view hint) {
  for (const auto line : split(message, '\n'))
    if (!line.empty())
      terminal.print_error(
          cat(terminal.err(Style::bad, "chillboxctl:"), " ", printable(line, 2000)));
  if (!hint.empty())
    terminal.print_error(cat(terminal.err(Style::dim, "hint:"), " ", printable(hint, 1000)));
}

bool is_empty(const control::ErrorData& data) {
  return !data.available && !data.job && !data.state && !data.step;
}

int report_error(const TerminalOptions& options, const Error& error, std::string_view hint,
    const control::ErrorData& data) {
  Terminal terminal(options);
  print_error(terminal, error.message, hint);
  if (terminal.json())
    terminal.print(answer_text("error",
        control::ErrorAnswer{
            {error.code, error.message, is_empty(data) ? std::nullopt : std::optional(data)}}));
  return exit_code(error.code);
}

int run_here(const CommandLine& line) {
  Terminal terminal(line.terminal);
  Call call{line.args, terminal, os::Paths::from_environment()};
  const auto done = line.verb->run(call);
  if (done)
    return call.exit;
  const Error& error = done.error();
  if (call.error_printed)
    return call.error_exit.value_or(exit_code(error.code));
  std::string hint = call.hint;
  if (hint.empty() && line.verb->where == Where::host)
    hint = hint_for(error.code);
  const int code = report_error(line.terminal, error, hint, call.error_data);
  return call.error_exit.value_or(code);
}

int run_gate(const std::vector<std::string>& words) {
  std::string hint;
  bool json = false;
  const auto line = through_gate(words, environment, json, hint);
  if (!line)
    return report_error({.json = json}, line.error(), hint, {});
  return run_here(*line);
}

} // namespace

std::string hint_for(Code code) {
  switch (code) {
  case Code::unreachable:
    return "on the host `rc-service chillboxd status` says more; from a laptop add -H USER@HOST";
  case Code::sealed: return "chillboxctl unlock";
  default: return "";
  }
}

int run_program(const std::vector<std::string>& words) {
  if (!words.empty() && words[0] == "__complete")
    return run_complete({words.begin() + 1, words.end()});
  if (!words.empty() && words[0] == "__agent")
    return run_agent({words.begin() + 1, words.end()});
  if (!words.empty() && words[0] == "__git-remote")
    return run_git_remote({words.begin() + 1, words.end()});
  if (courier::is_courier(words))
    return courier::run_courier(words);
  if (!words.empty() && words[0] == "gate")
    return run_gate({words.begin() + 1, words.end()});
  std::string hint;
  auto line = parse_command_line(words, environment, hint);
  if (!line) {
    // They were not understood, but a program that reads objects gets one.
    const bool json = std::ranges::find(words.begin(), std::ranges::find(words, "--"), "--json") !=
        std::ranges::find(words, "--");
    return report_error({.json = json}, line.error(), hint, {});
  }
  if (line->verb == nullptr) {
    Terminal terminal(line->terminal);
    if (line->exit == 0)
      terminal.print(trim(line->text));
    else
      terminal.print_error(trim(line->text));
    return line->exit;
  }
  say_commands(line->terminal.verbose);
  if (const auto filled = fill_defaults(*line); !filled)
    return report_error(line->terminal, filled.error(), "", {});
  if (line->hosts.empty() && line->inventory.empty())
    return run_here(*line);
  const auto code = run_on_hosts(*line);
  return code ? *code : report_error(line->terminal, code.error(), "", {});
}

} // namespace chillbox::cli
