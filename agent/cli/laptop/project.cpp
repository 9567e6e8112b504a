#include "cli/laptop/project.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/terminal.hpp"
#include "config/toml.hpp"
#include "os/paths.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view k_project_file = "chillbox.toml";
constexpr std::array<std::string_view, 2> k_suffixes{".site.json", ".site.toml"};
constexpr std::string_view k_local_site_file = "local.site.json"; // its author's machine alone
constexpr size_t k_max_hosts = 64;

const config::TextRule k_host_text{
    "a name of `chillboxctl hosts`, or USER@HOST", 256, [](std::string_view s) {
      return !s.empty() && !s.starts_with('-') && s == printable(s, 1024);
    }};
const config::TextRule k_word{
    "a word", 200, [](std::string_view s) { return !s.empty() && s == printable(s, 800); }};
const config::TextRule k_slug{
    "the name of a site", 31, [](std::string_view s) { return SiteName::parse(s).has_value(); }};

using config::Location;

void read_hosts(const Location& at, const Json& json, ProjectTable& out) {
  const config::Text text{k_host_text};
  if (!json.is_array()) {
    if (auto host = text(at, json))
      out.hosts.push_back(std::move(*host));
    return;
  }
  if (json.empty() || json.size() > k_max_hosts)
    return at.problem(cat("must have 1 to ", k_max_hosts, " hosts"));
  for (size_t i = 0; i < json.size(); ++i)
    if (auto host = text(at[i], json[i]))
      out.hosts.push_back(std::move(*host));
}

void read_rules(const Location& at, const Json& json, ProjectTable& out) {
  using R = RolloutRules;
  using config::Duration, config::Integer, config::into;
  constexpr uint64_t k_most = 1'000;
  static const config::Table<R> k_rules{{"canary", into(&R::canary, Integer{1, k_most})},
      {"batch", into(&R::batch, Integer{1, k_most})},
      {"max_unavailable", into(&R::max_unavailable, Integer{1, k_most})},
      {"bake", into(&R::bake, Duration{.zero = true})},
      {"drain", into(&R::drain, Duration{.zero = true})},
      {"on_failure", into(&R::on_failure, config::Choice{{"stop", "rollback"}})},
      {"by", into(&R::by, config::Choice{{"laptop", "hosts"}})},
      {"deadline", into(&R::deadline, Duration{.most = std::chrono::hours(24)})},
      {"via", into(&R::via, config::Text{k_word})}};
  RolloutRules rules;
  config::read_object(at, json, k_rules, rules);
  out.rollout = rules;
}

const config::Table<ProjectTable> k_table{
    {"host", read_hosts},
    {"branch", config::into(&ProjectTable::branch, config::Text{k_word})},
    {"confirm", config::into(&ProjectTable::confirm, config::Boolean{})},
    {"rollout", read_rules},
};

// What is no field of chillbox.toml is one of the site file, which is checked once it is merged.
void read_env(const Location& at, const Json& json, ProjectTable& out) {
  if (!json.is_object()) {
    at.refuse(json, "a table");
    return;
  }
  Json own = Json::object();
  for (const auto& [key, value] : json.items())
    if (std::ranges::any_of(k_table, [&](const auto& field) { return field.name == key; }))
      own[key] = value;
    else
      out.overrides[key] = value;
  config::read_object(at, own, k_table, out);
}

void read_envs(const Location& at, const Json& json, Project& out) {
  if (!json.is_object()) {
    at.refuse(json, "tables [env.NAME]");
    return;
  }
  for (const auto& [name, value] : json.items())
    if (!parse_key_name(name))
      (at / name).problem("must be a name of letters, digits, '.', '_' and '-'");
    else
      read_env(at / name, value, out.envs[name]);
}

Result<void> read_file(Project& project) {
  const std::string text = TRY(read_input(project.file, config::k_max_toml));
  config::Lines lines;
  Json json = TRY(config::parse_toml(text, project.file, lines));
  config::Problems problems(project.file, &lines);
  const Location at{problems, ""};
  config::Table<Project> table{
      {"site", config::into(&Project::site_said, config::Text{k_slug})}, {"env", read_envs}};
  for (const auto& field : k_table)
    table.push_back(
        {field.name, [read = field.read](const Location& where, const Json& value, Project& out) {
           read(where, value, out.top);
         }});
  config::read_object(at, json, table, project);
  return problems.empty() ? Result<void>{} : problems.error();
}

bool belongs_to_me(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0 || info.st_uid == ::geteuid() || info.st_uid == 0)
    return true; // one that is not there is no file of another's
  const auto behind_sudo = parse_u64(environment("SUDO_UID"));
  return ::geteuid() == 0 && behind_sudo == info.st_uid;
}

// The folder itself; nullopt: there is nothing of a project in it.
Result<std::optional<Project>> look_in(const std::string& dir, bool named) {
  Project project{.root = dir};
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(dir, error))
    if (const std::string name = entry.path().filename(); !site_of_file(name).empty())
      project.site_files.push_back(name);
  std::ranges::sort(project.site_files);
  if (project.site_files.size() > 1)
    std::erase(project.site_files, k_local_site_file);
  const std::string file = cat(dir == "/" ? "" : dir, "/", k_project_file);
  // A host's own file had this name.
  if (dir != os::Paths::from_environment().etc() && fs::is_regular_file(file, error))
    project.file = file;
  if (project.site_files.empty() && project.file.empty())
    return std::nullopt;
  std::vector<std::string> paths = project.site_files;
  for (std::string& path : paths)
    path = cat(dir, "/", path);
  if (!project.file.empty())
    paths.push_back(project.file);
  for (const std::string& path : paths)
    if (!named && !belongs_to_me(path))
      return fail(Code::denied,
          cat(printable(path, 1024),
              " belongs to another user: name its folder if you mean it (chillboxctl deploy ",
              printable(dir, 1024), ")"));
  if (!project.file.empty())
    TRY(read_file(project));
  return project;
}

// Where the shell says it is, when that is the same folder: it may have come by a link.
std::string shell_dir() {
  const std::string pwd = environment("PWD");
  std::error_code error;
  return pwd.starts_with('/') && fs::equivalent(pwd, ".", error) && !error ? pwd : "";
}

Result<std::optional<Project>> look_upwards(fs::path dir, bool named) {
  for (;; dir = dir.parent_path()) {
    auto found = TRY(look_in(dir.string(), named));
    if (found || dir == dir.root_path() || dir.empty())
      return found;
  }
}

void merge_value(Json& into, const Json& from);

// The member of a list whose name this is; nullptr: none.
Json* named(Json& list, const Json& member) {
  if (!member.is_object() || !member.contains("name"))
    return nullptr;
  for (Json& own : list)
    if (own.is_object() && own.contains("name") && own["name"] == member["name"])
      return &own;
  return nullptr;
}

bool all_named(const Json& list) {
  return !list.empty() && std::ranges::all_of(list, [](const Json& member) {
    return member.is_object() && member.contains("name");
  });
}

void merge_value(Json& into, const Json& from) {
  if (into.is_object() && from.is_object())
    merge_fields(into, from);
  else if (into.is_array() && from.is_array() && all_named(from))
    for (const Json& member : from)
      if (Json* own = named(into, member); own != nullptr)
        merge_fields(*own, member);
      else
        into.push_back(member);
  else
    into = from;
}

} // namespace

std::string site_of_file(const std::string& name) {
  for (const std::string_view suffix : k_suffixes)
    if (name.size() > suffix.size() && name.ends_with(suffix))
      return name.substr(0, name.size() - suffix.size());
  return "";
}

void merge_fields(Json& site, const Json& overrides) {
  for (const auto& [key, value] : overrides.items())
    if (site.contains(key))
      merge_value(site[key], value);
    else
      site[key] = value;
}

Result<std::string> Project::site_file() const {
  if (!site_said.empty()) {
    for (const std::string& name : site_files)
      if (site_of_file(name) == site_said)
        return cat(root, "/", name);
    return fail(Code::not_found,
        cat(printable(file, 1024), ": site = \"", site_said, "\", and there is no ", site_said,
            ".site.json or .site.toml next to it"));
  }
  if (site_files.empty())
    return fail(
        Code::not_found, cat(printable(root, 1024), ": no SITE.site.json or SITE.site.toml in it"));
  if (site_files.size() > 1)
    return fail(Code::usage,
        cat(printable(root, 1024), " has several site files (", join(site_files, ", "),
            "): name the one that is meant, or write site = \"",
            printable(site_of_file(site_files.front()), 40), "\" into its chillbox.toml"));
  return cat(root, "/", site_files.front());
}

Result<std::string> Project::site() const {
  const std::string path = TRY(site_file());
  const std::string name = site_of_file(path.substr(path.rfind('/') + 1));
  TRY_IN(printable(path, 1024), SiteName::parse(name));
  return name;
}

Result<ProjectTable> Project::table(const std::string& env) const {
  ProjectTable out = top;
  if (env.empty())
    return out;
  const auto found = envs.find(env);
  if (found == envs.end()) {
    std::vector<std::string> names;
    for (const auto& [name, table] : envs)
      names.push_back(name);
    const auto near = nearest(env, names);
    return fail(Code::usage,
        names.empty()
            ? cat("there is no environment '", printable(env, 80), "': ",
                  file.empty()
                      ? cat("no chillbox.toml is in ", printable(root, 1024))
                      : cat(printable(file, 1024), " has no [env.", printable(env, 80), "]"))
            : cat("there is no environment '", printable(env, 80), "' in ", printable(file, 1024),
                  ", only ", join(names, ", "), near ? cat("; did you mean '", *near, "'?") : ""));
  }
  const ProjectTable& over = found->second;
  if (!over.hosts.empty())
    out.hosts = over.hosts;
  if (over.branch)
    out.branch = over.branch;
  if (over.confirm)
    out.confirm = over.confirm;
  if (over.rollout)
    out.rollout = over.rollout;
  out.overrides = over.overrides;
  return out;
}

Result<std::optional<Project>> find_project(const std::string& start) {
  std::error_code error;
  const fs::path dir = fs::canonical(start, error);
  if (error && start == ".") // a folder that is gone, or not for us: none of its verbs needs one
    return std::nullopt;
  if (error)
    return fail_errno(cat("read ", printable(start, 1024)), error.value());
  auto found = TRY(look_upwards(dir, false));
  if (!found && start == ".")
    if (const std::string logical = shell_dir(); !logical.empty() && logical != dir.string())
      return look_upwards(logical, false);
  return found;
}

Result<Project> project_at(const std::string& named_dir) {
  std::error_code error;
  const fs::path dir = fs::canonical(named_dir, error);
  if (error)
    return fail_errno(cat("read ", printable(named_dir, 1024)), error.value());
  if (!fs::is_directory(dir, error))
    return fail(Code::usage, cat(printable(named_dir, 1024), " is no folder"));
  if (auto here = TRY(look_in(dir.string(), true)))
    return *std::move(here);
  if (dir.has_parent_path())
    if (auto above = TRY(look_upwards(dir.parent_path(), false)))
      return *std::move(above);
  return Project{.root = dir.string()};
}

} // namespace chillbox::cli
