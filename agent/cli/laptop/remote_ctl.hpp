// chillboxctl on one host, as root there and over one connection: for verbs of the laptop that take
// several steps on a host.
#pragma once

#include "base/error.hpp"
#include "cli/laptop/remote_shell.hpp"
#include "cli/laptop/target.hpp"
#include "control/messages.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chillbox::cli {

// The last line: what a host greets with at each ssh comes before it.
std::string_view answer_in(std::string_view out);
// What chillboxctl meant that ended so.
Code code_of_exit(int exit);

class RemoteCtl {
public:
  static Result<RemoteCtl> open(const Places& places, Target target);

  const std::string& name() const { return m_target.host.name; }
  const Target& target() const { return m_target; }
  const RemoteShell& shell() const { return m_shell; }

  // What it prints. The error of the host, with its code and the host's name.
  Result<std::string> run(std::vector<std::string> words);
  // An answer of a verb of one or two words, with --json; also with an exit code of its own.
  template <class T> Result<T> ask(std::vector<std::string> words) {
    words.insert(words.begin() + 1, "--json");
    const std::string out = TRY(answer(std::move(words)));
    return TRY_IN(name(), control::read_answer<T>(answer_in(out)));
  }

private:
  RemoteCtl(Target target, RemoteShell shell)
      : m_target(std::move(target)), m_shell(std::move(shell)) {}
  Result<std::string> answer(std::vector<std::string> words);
  Result<RemoteShell::Ran> command(std::vector<std::string> words);
  Target m_target;
  RemoteShell m_shell;
};

} // namespace chillbox::cli
