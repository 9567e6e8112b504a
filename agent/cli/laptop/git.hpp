// The git of this machine, in one folder. Nothing of a repository is run: hooks, pagers and
// fsmonitor are off, and what the environment says of another repository does not count.
#pragma once

#include "os/runner.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace chillbox::cli {

class Git {
public:
  Git(const std::string& dir, os::Runner& runner, os::Millis patience = os::Millis(20'000));

  // What it prints, trimmed. nullopt: it failed, `said` is what it said; or there is no git.
  std::optional<std::string> operator()(std::vector<std::string> words);
  std::string said;

private:
  std::string m_dir, m_program;
  std::vector<std::pair<std::string, std::string>> m_env;
  os::Runner& m_runner;
  os::Millis m_patience;
};

} // namespace chillbox::cli
