#include "cli/laptop/git.hpp"

#include "base/text.hpp"
#include "cli/fleet/ssh.hpp"

#include <iterator>

namespace chillbox::cli {

Git::Git(const std::string& dir, os::Runner& runner, os::Millis patience)
    : m_dir(dir), m_runner(runner), m_patience(patience) {
  const auto found = find_program("git");
  if (!found)
    return;
  m_program = *found;
  for (auto& [name, value] : whole_environment()) // of a hook of another repository
    if (!name.starts_with("GIT_"))
      m_env.emplace_back(std::move(name), std::move(value));
  m_env.emplace_back("GIT_OPTIONAL_LOCKS", "0");
  m_env.emplace_back("LC_ALL", "C");
}

std::optional<std::string> Git::operator()(std::vector<std::string> words) {
  if (m_program.empty()) {
    said = "there is no git on this machine";
    return std::nullopt;
  }
  std::vector<std::string> argv{
      m_program, "-C", m_dir, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"};
  argv.insert(
      argv.end(), std::make_move_iterator(words.begin()), std::make_move_iterator(words.end()));
  const auto exit = m_runner.run({.argv = std::move(argv),
      .env = m_env,
      .timeout = m_patience,
      .output_limit = 64 * 1024,
      .no_new_privs = false});
  said = exit ? std::string(trim(exit->err)) : exit.error().message;
  if (!exit || !exit->ok())
    return std::nullopt;
  return std::string(trim(exit->out));
}

} // namespace chillbox::cli
