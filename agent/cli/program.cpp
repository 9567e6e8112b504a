#include "cli/program.hpp"

#include "base/text.hpp"
#include "cli/arguments.hpp"
#include "cli/complete.hpp"
#include "cli/remote.hpp"
#include "cli/reply.hpp"
#include "cli/terminal.hpp"

#include <unistd.h>

namespace chillbox::cli {
namespace {

// "chillboxctl: MESSAGE"; of several lines (all problems of a file) each is told.
void tell_error(Terminal& terminal, std::string_view message, std::string_view hint) {
  for (const auto line : split(message, '\n'))
    if (!line.empty())
      terminal.complain(cat(terminal.err(Style::bad, "chillboxctl:"), " ", printable(line, 2000)));
  if (!hint.empty())
    terminal.complain(cat(terminal.err(Style::dim, "hint:"), " ", printable(hint, 1000)));
}

int fail_usage(const TerminalOptions& options, const UsageError& error) {
  Terminal terminal(options);
  tell_error(terminal, error.message, error.hint);
  return exit_code(Code::usage);
}

int run_there(const CommandLine& line) {
  Terminal terminal(line.terminal);
  RemoteCommand command{line.hosts, {}, ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1, -1};
  CommandLine there = line;
  there.terminal.no_color |= !environment("NO_COLOR").empty();
  if (line.args.has("passphrase-fd")) {
    if (line.hosts.size() > 1)
      return fail_usage(line.terminal, {"--passphrase-fd is for one host at a time", "run it once for each host"});
    command.input = static_cast<int>(line.args.number("passphrase-fd", 0));
    command.terminal = false; // it would show what goes through it
    there.args = Args();
    for (const Option& option : line.verb->options)
      for (const std::string& value : line.args.list(key_of(option)))
        there.args.add(key_of(option), key_of(option) == "passphrase-fd" ? "0" : value);
  }
  command.words = words_of(there);
  if (line.hosts.size() > 1)
    command.before = [&](const std::string& host) { terminal.note(terminal.err(Style::bold, cat("== ", host))); };
  const auto code = run_remote(command);
  if (code)
    return *code;
  tell_error(terminal, code.error().message, "");
  return exit_code(code.error().code);
}

int run_here(const CommandLine& line) {
  Terminal terminal(line.terminal);
  Call call{line.args, terminal, os::Paths::from_environment()};
  const auto done = line.verb->run(call);
  if (done)
    return 0;
  const Error& error = done.error();
  std::string hint = call.hint;
  if (hint.empty() && line.verb->where == Where::host)
    hint = hint_for(error.code);
  tell_error(terminal, error.message, hint);
  if (terminal.json())
    terminal.print(error_json(error, call.error_data));
  return exit_code(error.code);
}

} // namespace

std::string hint_for(Code code) {
  switch (code) {
  case Code::unreachable:
    return "on the host `rc-service chillboxd status` tells more; from a laptop add -H USER@HOST";
  case Code::sealed:
    return "chillboxctl unlock";
  default:
    return "";
  }
}

int run_program(const std::vector<std::string>& words) {
  if (!words.empty() && words[0] == "__complete")
    return run_complete({words.begin() + 1, words.end()});
  const auto line = parse_command_line(words, environment);
  if (!line)
    return fail_usage({}, line.error());
  if (line->verb == nullptr) {
    Terminal(line->terminal).print(trim(line->text));
    return 0;
  }
  return line->hosts.empty() ? run_here(*line) : run_there(*line);
}

} // namespace chillbox::cli
