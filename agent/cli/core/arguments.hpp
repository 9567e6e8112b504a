// From argv to a verb and its arguments, by CLI11 (this room's only use of it is in arguments.cpp).
// Options that every verb has may stand before or behind the verb. Nothing here connects, locks or
// prints: help is text that comes back.
#pragma once

#include "base/error.hpp"
#include "cli/core/terminal.hpp"
#include "cli/core/verb.hpp"

#include <string>
#include <vector>

namespace chillbox::cli {

struct CommandLine {
  const Verb* verb = nullptr; // null: only `text` is to be printed
  Args args;
  TerminalOptions terminal;
  std::vector<std::string> hosts; // -H or CHILLBOX_HOST, for verbs of the host
  std::string inventory;          // --hosts
  std::vector<std::string> limit;
  std::string text; // help or version
};

// words: argv without the program's name. env: CHILLBOX_HOST is looked up there. usage, with a hint
// at what to do.
Result<CommandLine> parse_command_line(
    const std::vector<std::string>& words, const Environment& env, std::string& hint);

// All verbs by group, and the options that all have.
std::string help_text();
// The same call as words again, for the program on another machine: verb, options, "--", positions.
std::vector<std::string> words_of(const CommandLine& line);

} // namespace chillbox::cli
