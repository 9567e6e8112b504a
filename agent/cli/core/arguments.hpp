// Parses argv into a verb and its arguments, with CLI11, which only arguments.cpp uses. Options
// that all verbs have may be given before or after the verb. Nothing here connects, locks or
// prints: help is returned as text.
#pragma once

#include "base/error.hpp"
#include "cli/core/terminal.hpp"
#include "cli/core/verb.hpp"

#include <string>
#include <vector>

namespace chillbox::cli {

struct CommandLine {
  const Verb* verb = nullptr; // null: print `text` and nothing else
  Args args;
  TerminalOptions terminal;
  std::vector<std::string> hosts; // -H or CHILLBOX_HOST, for verbs that run on a host
  std::string inventory;          // --hosts
  std::vector<std::string> limit;
  std::string text; // help or version
  int exit = 0;     // with it: 2 when there was no command
};

// words: argv without the program's name. env: where CHILLBOX_HOST is looked up. usage: the words
// are refused, and `hint` says what to do.
Result<CommandLine> parse_command_line(
    const std::vector<std::string>& words, const Environment& env, std::string& hint);

// The same command line again, to run on another machine: verb, options, "--", positions.
std::vector<std::string> words_of(const CommandLine& line);

} // namespace chillbox::cli
