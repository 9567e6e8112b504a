// What git knows of a project's folder, asked with the git of this machine. Nothing of a repository
// is run: hooks, pagers and fsmonitor are off.
#pragma once

#include "base/error.hpp"
#include "os/runner.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::cli {

struct GitFacts {
  std::string branch;   // "": detached
  std::string hash;     // seven digits
  std::string tag;      // the nearest one that is a version, without its v; "": none
  uint64_t commits = 0; // since the tag; without one: all
  bool dirty = false;   // files differ, or are new and not ignored, below the folder
  bool shallow = false; // not all commits are here
  std::string origin;   // the repository's address, without a password; else its first commit
  std::vector<std::string> absent; // submodules below the folder that are not checked out, as paths
};

// nullopt: no git here, the folder is in no work tree, none of its files is tracked, or there is no
// commit yet. `why`: when git refused for another reason.
std::optional<GitFacts> git_facts(
    const std::string& dir, os::Runner& runner, std::string* why = nullptr);

// "1.4.0", "1.4.1-dev.2+g3f2a1c9", "0.0.17+g3f2a1c9", ".dirty" after the hash.
std::string version_of_git(const GitFacts& git);

// Semantic Versioning 2.0.0, 11: negative when `a` is older. Build metadata does not count.
int compare_versions(std::string_view a, std::string_view b);
// N of "0.0.N", the version of a folder that has none.
std::optional<uint64_t> counted_version(std::string_view version);

} // namespace chillbox::cli
