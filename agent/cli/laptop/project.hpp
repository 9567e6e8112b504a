// The project that a command is run in: the nearest folder, from here upwards, with a site file
// (SITE.site.json or SITE.site.toml) or a chillbox.toml. What is above it is not looked at: a
// project below another one is its own. Finding it runs nothing and reads chillbox.toml alone.
// denied: the files are another user's, whose commands a deploy would run; a folder that is named
// on the command line is meant, whosever it is.
//
// chillbox.toml, which is committed and has no secret:
//   host = "web1"            a name, USER@HOST, or a list of them
//   site = "hello"           when the folder has several site files
//   branch, confirm          deploys only from this branch, and clean; deploys ask
//   [rollout]                how it goes to several hosts (rollout_rules.hpp)
//   [env.NAME]               the same keys, and fields of the site file that differ there
#pragma once

#include "base/error.hpp"
#include "base/json.hpp"
#include "cli/laptop/rollout_rules.hpp"

#include <nlohmann/json.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::cli {

// A table of chillbox.toml. What an environment does not say is as at the top.
struct ProjectTable {
  std::vector<std::string> hosts; // none: not said
  std::optional<std::string> branch;
  std::optional<bool> confirm;
  std::optional<RolloutRules> rollout;
  Json overrides = Json::object(); // of the site file's fields
};

struct Project {
  std::string root;                    // absolute
  std::vector<std::string> site_files; // their names in root, sorted
  std::string file;                    // chillbox.toml; "": there is none
  std::string site_said;               // "site" there
  ProjectTable top;
  std::map<std::string, ProjectTable> envs;

  // The one site file. not_found: none; usage: several, and chillbox.toml says no `site`.
  Result<std::string> site_file() const;
  // Its site. The same errors.
  Result<std::string> site() const;
  // The top with an environment over it; "" is the top alone. usage: no such environment.
  Result<ProjectTable> table(const std::string& env) const;
};

// nullopt: there is no project here or above. invalid: chillbox.toml, with its lines.
Result<std::optional<Project>> find_project(const std::string& start = ".");
// The project of a folder that was named; the folder itself when nothing is found: `root` is set.
Result<Project> project_at(const std::string& dir);

// Of SITE in "SITE.site.json"; "" for other names.
std::string site_of_file(const std::string& name);
// The site file with the fields of an environment: objects are merged, lists whose members have a
// name by that name, everything else is replaced.
void merge_fields(Json& site, const Json& overrides);

} // namespace chillbox::cli
