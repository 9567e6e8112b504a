#include "cli/pack/ignore.hpp"

#include "base/text.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <ranges>
#include <span>

namespace chillbox::cli {
namespace {

// What tools leave and no host needs; files that hold the secrets of one machine; artifacts.
constexpr std::string_view k_first_lines = R"(.git
.hg
.svn
.jj
__pycache__
.venv
.tox
.nox
.mypy_cache
.pytest_cache
.ruff_cache
.ipynb_checkpoints
.coverage
.idea
.vscode
.DS_Store
.localized
._*
__MACOSX
Icon[[:cntrl:]]
Thumbs.db
desktop.ini
*~
.*.sw[a-p]
\#*#
.\#*
.chillboxignore
.env
.env.*
!.env.example
!.env.sample
!.env.template
.envrc
.direnv
.netrc
_netrc
.npmrc
.pgpass
.pypirc
.git-credentials
.ssh
.gnupg
.aws
.kube
.docker
*.tar.zst.age*
)";

using Patterns = std::span<const std::string>;
using PathNames = std::span<const std::string>;

bool matches(Patterns patterns, PathNames names) {
  if (patterns.empty())
    return names.empty();
  if (patterns.front() == "**") {
    if (patterns.size() == 1)
      return !names.empty(); // "dir/**": what is in it, not the folder itself
    for (size_t skipped = 0; skipped <= names.size(); ++skipped)
      if (matches(patterns.subspan(1), names.subspan(skipped)))
        return true;
    return false;
  }
  return !names.empty() && ::fnmatch(patterns.front().c_str(), names.front().c_str(), 0) == 0 &&
      matches(patterns.subspan(1), names.subspan(1));
}

// Trailing spaces go, unless a \ precedes them.
std::string_view without_end(std::string_view line) {
  if (line.ends_with('\r'))
    line.remove_suffix(1);
  while (line.ends_with(' ') && !line.ends_with("\\ "))
    line.remove_suffix(1);
  return line;
}

std::vector<std::string> names_of(std::string_view path) {
  std::vector<std::string> names;
  for (const auto part : split(path, '/'))
    names.emplace_back(part);
  return names;
}

} // namespace

Result<IgnoreList::Rule> IgnoreList::rule_of(std::string_view line) {
  Rule rule;
  rule.take_back = line.starts_with('!');
  if (rule.take_back)
    line.remove_prefix(1);
  rule.directories = line.ends_with('/');
  if (rule.directories)
    line.remove_suffix(1);
  if (line.find('/') == std::string_view::npos)
    rule.parts.emplace_back("**"); // a name, wherever it is
  else if (line.starts_with('/'))
    line.remove_prefix(1);
  if (line.ends_with('\\') && !line.ends_with("\\\\"))
    return fail(Code::invalid, "a \\ at the end quotes nothing");
  for (const auto part : split(line, '/')) {
    if (part.empty() || part == "." || part == "..")
      return fail(Code::invalid, cat("'", printable(part), "' names nothing in the site's folder"));
    rule.parts.emplace_back(part);
  }
  return rule;
}

Result<IgnoreList> IgnoreList::parse(std::string_view text) {
  IgnoreList list;
  TRY(list.add(k_first_lines));
  list.m_own = list.m_rules.size();
  TRY(list.add(text));
  return list;
}

Result<void> IgnoreList::add(std::string_view text) {
  size_t number = 0;
  for (auto line : split(text, '\n')) {
    ++number;
    line = without_end(line);
    if (!line.empty() && !line.starts_with('#'))
      m_rules.push_back(
          TRY_IN(cat("line ", number, " '", printable(line, 60), "'"), rule_of(line)));
  }
  return {};
}

bool IgnoreList::leaves_out(std::string_view path, bool directory) const {
  const auto names = names_of(path);
  for (const auto& rule : std::views::reverse(m_rules))
    if ((directory || !rule.directories) && matches(rule.parts, names))
      return !rule.take_back;
  return false;
}

bool IgnoreList::leaves_out_whole(std::string_view path, bool directory) const {
  for (size_t end = path.find('/'); end != std::string_view::npos; end = path.find('/', end + 1))
    if (leaves_out(path.substr(0, end), true))
      return true;
  return leaves_out(path, directory);
}

bool IgnoreList::takes_back(std::string_view path, bool directory) const {
  for (size_t end = path.size(); end != std::string_view::npos && end != 0;
      end = path.rfind('/', end - 1)) {
    const auto names = names_of(path.substr(0, end));
    for (size_t i = m_rules.size(); i-- > m_own;)
      if ((directory || end != path.size() || !m_rules[i].directories) &&
          matches(m_rules[i].parts, names))
        return m_rules[i].take_back;
  }
  return false;
}

} // namespace chillbox::cli
