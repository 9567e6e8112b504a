// The command line as data. A verb is a file of cli/verbs/ that defines its options, its help,
// where it may run and its function; verbs.cpp lists them. Parsing, help, completion, the command
// that -H sends to another machine and the check against the man page all read these tables. No
// argument takes a passphrase, and none is read from the environment (faults 76).
#pragma once

#include "base/error.hpp"
#include "control/messages.hpp"
#include "os/paths.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

class Terminal;

enum class Where {
  laptop, // here only: refuses -H
  host,   // asks chillboxd or changes its files; -H runs it on another host
  both,   // anywhere
};

// What an argument must look like; anything else is a usage error before anything is done. The host
// knows the values of the kinds from `site` on, and completion asks it for them.
enum class ArgKind {
  flag,
  text,
  list,
  words, // of a command: all that comes after "--", as it is
  number,
  duration,
  fd,
  choice,
  site,
  target,
  certificate, // a site, or the host's own name
  release,     // one that a rollback takes
  any_release, // one that is still there
  job,
  deployer,
  sender
};

struct Option {
  std::string_view names; // "-n,--lines"; "SITE" is a required position, "[SITE]" an optional one
  ArgKind kind = ArgKind::text;
  std::string_view
      value; // its value in the help: "N"; for a choice the possible values: "bash|zsh|fish"
  std::string_view help;
  bool required = false;
  bool of_project = false; // a site: without it, that of the project
};

// The arguments of a call, by the long name of an option or the name of a position.
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
  std::string hint = {}; // a line after the error, instead of the one that hint_for() has
  control::ErrorData error_data = {}; // what goes with the error, for --json
  int exit = 0;                       // the exit code of a run without an error
  std::optional<int> error_exit = {}; // the exit code of an error, instead of the documented one
  bool error_printed = false; // the verb has already printed the error; only its exit code counts
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
  std::string_view here_with = {}; // a flag with which it is for this machine
};

std::span<const Verb* const> verb_list(); // in the order of help
inline auto verbs() {
  return verb_list() | std::views::transform([](const Verb* verb) -> const Verb& { return *verb; });
}
std::span<const Option> common_options(); // of all verbs
std::span<const Option> remote_options(); // of all verbs that run on a host
const Verb* find_verb(std::string_view name);

// "-n,--lines" is "lines", "[SITE]" is "SITE".
std::string_view key_of(const Option& option);
bool is_position(const Option& option);
// usage: the text is nothing that the kind of the option allows.
Result<void> check(const Option& option, std::string_view text);
std::string_view heading(Group group);

} // namespace chillbox::cli
