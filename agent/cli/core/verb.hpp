// The shape of the command line: one table of verbs (verbs.cpp), each with its arguments as data,
// where it may run, and its function. Parsing, help, completion, the command that -H sends to
// another machine and the check against the man page are all made from this table. There is no
// argument that takes a passphrase, and none is read from the environment (faults 76).
#pragma once

#include "base/error.hpp"
#include "os/paths.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

class Terminal;

enum class Where {
  laptop, // never on another machine: refuses -H
  host,   // speaks to chillboxd or changes its files; -H runs it there
  both,   // needs neither
};

// What an argument must look like. What does not is a usage error, before anything is done.
// From `site` on the values are on the host, and completion asks there for them.
enum class ArgKind {
  flag,
  text,
  list,
  number,
  duration,
  fd,
  choice,
  site,
  target,
  release,
  job,
  deployer,
  sender
};

struct Option {
  std::string_view
      names; // "-n,--lines"; "SITE" is a position that must be filled, "[SITE]" one that may be
  ArgKind kind = ArgKind::text;
  std::string_view
      value; // how help shows its value: "N"; of a choice what there is: "bash|zsh|fish"
  std::string_view help;
  bool required = false;
};

// The arguments of one call, by the long name of the option or the name of the position.
class Args {
public:
  bool has(std::string_view name) const { return m_values.contains(name); }
  std::string text(std::string_view name, std::string_view fallback = "") const;
  std::vector<std::string> list(std::string_view name) const;
  uint64_t number(std::string_view name, uint64_t fallback) const;
  std::chrono::milliseconds duration(
      std::string_view name, std::chrono::milliseconds fallback) const;
  void add(std::string_view name, std::string value) {
    m_values[std::string(name)].push_back(std::move(value));
  }

private:
  std::map<std::string, std::vector<std::string>, std::less<>> m_values;
};

// One run of a verb.
struct Call {
  const Args& args;
  Terminal& terminal;
  os::Paths paths;
  std::string hint =
      {}; // one line below the error, when the verb knows better than the table of hints
  std::string error_data = {}; // JSON that goes with the error, for --json
  int exit = 0;                // of a run that went well
  bool error_printed =
      false; // the verb has printed what the error says: only its exit code is left
};

// The headings of help.
enum class Group { laptop, setup, seal, show, act };

struct Verb {
  std::string_view name; // one or two words
  Group group;
  Where where;
  std::string_view help;
  std::span<const Option> options;
  Result<void> (*run)(Call&);
};

std::span<const Verb* const> verb_list(); // in the order of help
inline auto verbs() {
  return verb_list() | std::views::transform([](const Verb* verb) -> const Verb& { return *verb; });
}
std::span<const Option> common_options(); // that every verb has
std::span<const Option> remote_options(); // that every verb of the host has besides
const Verb* find_verb(std::string_view name);

// "-n,--lines" is "lines", "[SITE]" is "SITE".
std::string_view key_of(const Option& option);
bool is_position(const Option& option);
// usage with what the kind of the option allows.
Result<void> check(const Option& option, std::string_view text);
std::string_view heading(Group group);

} // namespace chillbox::cli
