#include "cli/site_folder.hpp"

#include "base/text.hpp"
#include "control/json.hpp"
#include "cli/input.hpp"

#include <nlohmann/json.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

extern char** environ;

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view k_suffix = ".site.json";
constexpr os::Millis k_cmd_timeout{60'000};
// Left by tools, of no use on the host. What else should stay behind is a matter for the service's manifest.
constexpr std::array<std::string_view, 7> k_skipped{".git", ".hg", ".svn", "__pycache__", ".venv", ".DS_Store", ".mypy_cache"};
// Beside the services in the archive.
constexpr std::array<std::string_view, 3> k_shared{"nginx", "redis", "immutable"};

bool is_skipped(const std::string& path) {
  const auto parts = split(path, '/');
  return std::ranges::any_of(parts, [](std::string_view part) { return std::ranges::find(k_skipped, part) != k_skipped.end(); });
}

bool is_directory(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

// A relative path that stays below where it begins.
bool stays_below(std::string_view path) {
  if (path.empty() || path.starts_with('/'))
    return false;
  return std::ranges::none_of(split(path, '/'), [](std::string_view part) { return part == ".."; });
}

Result<std::string> find_site_file(const std::string& path) {
  std::error_code error;
  if (path.ends_with(k_suffix) && fs::is_regular_file(path, error))
    return path;
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(path, error))
    if (const std::string name = entry.path().filename(); name.ends_with(k_suffix) && name.size() > k_suffix.size())
      found.push_back(name);
  if (error)
    return fail_errno(cat("read ", printable(path, 1024)), error.value());
  std::ranges::sort(found);
  if (found.empty())
    return fail(Code::not_found, cat(printable(path, 1024), ": no SITE.site.json in it"));
  if (found.size() > 1)
    return fail(Code::usage, cat(printable(path, 1024), ": several site files (", join(found, ", "), "): name the one that is meant"));
  return cat(path, "/", found[0]);
}

// The first of PATH that has it: the laptop's tools may be anywhere.
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos)
    return name;
  const char* path = ::getenv("PATH");
  for (const auto dir : split(path == nullptr ? "" : path, ':'))
    if (const std::string candidate = cat(dir, "/", name); !dir.empty() && ::access(candidate.c_str(), X_OK) == 0)
      return candidate;
  return name;
}

Result<std::vector<std::string>> words_of_cmd(const std::string& cmd) {
  auto words = TRY(config::split_words(cmd));
  if (words.empty())
    return fail(Code::invalid, "cmd is empty");
  for (const std::string& word : words)
    for (const std::string_view sign : {"|", "||", "&&", ";", "&", ">", ">>", "<"})
      if (word == sign)
        return fail(Code::invalid, cat("cmd has a '", sign, "', but no shell runs it: put that into a script or a make target"));
  words[0] = find_program(words[0]);
  return words;
}

Result<std::string> value_of(const config::Variable& variable, const std::string& dir, os::Runner& runner) {
  auto words = TRY(words_of_cmd(variable.cmd));
  os::Command command{.argv = std::move(words)};
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (const std::string_view text = *entry; text.find('=') != std::string_view::npos)
      command.env.emplace_back(text.substr(0, text.find('=')), text.substr(text.find('=') + 1));
  command.cwd = dir;
  command.timeout = k_cmd_timeout;
  command.no_new_privs = false;
  const os::Exit exit = TRY(runner.run(command));
  if (!exit.ok())
    return fail(Code::failure, cat("'", printable(variable.cmd), "' ended with ", exit.code, ": ", printable(trim(exit.err), 300)));
  std::string value = exit.out;
  while (value.ends_with('\n') || value.ends_with('\r'))
    value.pop_back();
  if (value.find('\0') != std::string::npos || !is_utf8(value))
    return fail(Code::invalid, cat("'", printable(variable.cmd), "' printed something that is not text"));
  return value;
}

using Entries = std::vector<artifact::PackEntry>;

Result<void> add_path(Entries& entries, const std::string& source, const std::string& name) {
  struct stat st {};
  if (::lstat(source.c_str(), &st) != 0)
    return fail_errno(cat("read ", printable(source, 1024)), errno);
  if (S_ISDIR(st.st_mode)) {
    for (auto& entry : TRY(artifact::collect(source, name, is_skipped)))
      entries.push_back(std::move(entry));
  } else if (S_ISLNK(st.st_mode)) {
    std::error_code error;
    entries.push_back({.name = name, .source = source, .content = {}, .link_target = fs::read_symlink(source, error)});
  } else if (S_ISREG(st.st_mode)) {
    entries.push_back({.name = name, .source = source, .content = {}, .executable = (st.st_mode & S_IXUSR) != 0, .link_target = {}});
  } else {
    return fail(Code::denied, cat(printable(source, 1024), ": is neither a file nor a folder nor a link"));
  }
  return {};
}

// The paths that the service's manifest lists, each once, below the service's folder.
Result<void> add_manifest(Entries& entries, const std::string& handler, const std::string& manifest, const std::string& prefix) {
  if (!stays_below(manifest))
    return fail(Code::invalid, cat("manifest '", printable(manifest), "' is not a path in ", printable(handler)));
  std::vector<std::string> taken;
  const std::string text = TRY(read_input(cat(handler, "/", manifest), 1 << 20));
  for (const auto line : content_lines(text)) {
    std::string path(line);
    while (path.ends_with('/'))
      path.pop_back();
    if (path.starts_with("./"))
      path.erase(0, 2);
    if (!stays_below(path))
      return fail(Code::invalid, cat("manifest: '", printable(line), "' is not a path in the service's folder"));
    if (std::ranges::find(taken, path) == taken.end())
      TRY_IN("manifest", add_path(entries, cat(handler, "/", path), cat(prefix, "/", path)));
    taken.push_back(std::move(path));
  }
  return {};
}

Result<void> add_service(Entries& entries, const SiteFolder& folder, const config::Service& service) {
  const std::string& name = service.name.str();
  if (std::ranges::find(k_shared, name) != k_shared.end())
    return fail(Code::preflight, cat("the archive has a folder '", name, "' of its own: give the service another name"));
  if (!stays_below(service.handler))
    return fail(Code::invalid, cat("handler '", printable(service.handler), "' is not a folder below ", printable(folder.dir)));
  const std::string handler = cat(folder.dir, "/", service.handler);
  const std::string prefix = cat(folder.site.slug.str(), "/", name);
  if (!is_directory(handler)) {
    // Built elsewhere and lying in immutable/ already.
    if (service.lang == "immutable" && is_directory(cat(folder.dir, "/immutable/", name)))
      return {};
    return fail(Code::not_found, cat("its handler folder ", printable(handler), " is not there"));
  }
  return service.manifest.empty() ? add_path(entries, handler, prefix) : add_manifest(entries, handler, service.manifest, prefix);
}

} // namespace

Result<SiteFolder> read_site_folder(const std::string& path) {
  const std::string file = TRY(find_site_file(path));
  const auto slash = file.rfind('/');
  const std::string name = file.substr(slash == std::string::npos ? 0 : slash + 1);
  const std::string dir = slash == std::string::npos ? "." : slash == 0 ? "/" : file.substr(0, slash);
  const SiteName slug = TRY_IN(name, SiteName::parse(name.substr(0, name.size() - k_suffix.size())));
  const std::string json = TRY(read_input(file, config::k_max_site_json));
  auto site = config::parse_site(json, slug);
  if (site)
    return SiteFolder{dir, file, json, std::move(*site)};
  std::string problems;
  for (const auto line : split(site.error().message, '\n'))
    if (!line.empty())
      problems += cat(problems.empty() ? "" : "\n", name, ": ", line);
  return fail(site.error().code, problems);
}

Result<std::map<std::string, std::string>> env_values(const SiteFolder& folder, os::Runner& runner,
                                                      const std::function<void(std::string_view)>& say) {
  std::map<std::string, std::string> values;
  for (const config::Variable& variable : folder.site.env) {
    if (variable.cmd.empty())
      continue;
    say(cat("env ", variable.name, ": running ", printable(variable.cmd)));
    values[variable.name] = TRY_IN(cat("env ", variable.name), value_of(variable, folder.dir, runner));
  }
  return values;
}

Result<std::string> with_env_values(std::string_view json, const std::map<std::string, std::string>& values) {
  if (values.empty())
    return std::string(json);
  Json site = TRY(parse_json(json, config::k_max_site_json));
  for (Json& variable : site["env"])
    if (const auto value = values.find(control::string_or(variable, "name", "")); value != values.end()) {
      variable["value"] = value->second;
      variable.erase("cmd");
    }
  return dump(site) + "\n";
}

Result<Entries> lay_out(const SiteFolder& folder, const std::string& site_json) {
  Entries entries;
  const std::string& slug = folder.site.slug.str();
  entries.push_back({.name = cat(slug, "/", slug, k_suffix), .source = {}, .content = site_json, .link_target = {}});
  for (const config::Service& service : folder.site.services)
    TRY_IN(cat("service ", service.name.str()), add_service(entries, folder, service));
  for (const std::string_view name : k_shared)
    if (const std::string source = cat(folder.dir, "/", name); is_directory(source))
      TRY(add_path(entries, source, cat(slug, "/", name)));
  return entries;
}

} // namespace chillbox::cli
