#include "cli/pack/site_commands.hpp"

#include "base/text.hpp"
#include "cli/core/file_input.hpp"
#include "cli/fleet/ssh.hpp"
#include "config/expand.hpp"
#include "control/json.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

constexpr os::Millis k_command_timeout{30 * 60'000}; // an image may be built

using CommandWords = std::vector<std::string>;
using Values = std::map<std::string, std::string>;

// What a program wrote, in one line.
std::string one_line(std::string_view text) {
  std::vector<std::string> lines;
  for (const auto line : split(text, '\n'))
    if (!trim(line).empty())
      lines.emplace_back(trim(line));
  return printable(join(lines, "; "), 400);
}

// One text, as $(...) of a shell would have it.
Result<std::string> output_of(
    const Laptop& laptop, const CommandWords& argv, const std::string& dir, const Values& more) {
  const std::string shown = argv[0] == "/bin/sh" ? argv.back() : join(argv, " ");
  if (!laptop.may_run)
    return fail(Code::denied, cat("'", printable(shown), "' is not run because of --no-commands"));
  laptop.say(cat("running ", printable(shown, 300)));
  os::Command command{.argv = argv};
  if (!argv[0].starts_with('/'))
    command.argv[0] = TRY(find_program(argv[0]));
  command.env = environment_with(more);
  command.cwd = dir;
  command.timeout = k_command_timeout;
  command.no_new_privs = false;
  const os::Exit exit = TRY(laptop.runner.run(command));
  if (!exit.ok())
    return fail(Code::failure,
        cat("'", printable(shown), "' ended with ", exit.code, ": ", one_line(exit.err)));
  std::string value = exit.out;
  while (value.ends_with('\n') || value.ends_with('\r'))
    value.pop_back();
  if (value.find('\0') != std::string::npos || !is_utf8(value))
    return fail(Code::invalid, cat("'", printable(shown), "' printed something that is not text"));
  return value;
}

Result<std::string> inspect(const Laptop& laptop, const std::string& dir, std::string_view name) {
  return output_of(
      laptop, {"make", "--silent", "--no-print-directory", cat("inspect.", name)}, dir, {});
}

// Files that begin with a dot (.gitkeep) only keep the folder.
bool is_built(const std::string& dist) {
  std::error_code error;
  return std::ranges::any_of(
      fs::directory_iterator(dist, error), [](const fs::directory_entry& entry) {
        return !entry.path().filename().string().starts_with('.');
      });
}

bool is_folder_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && text[0] != '.' &&
      std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '.' || c == '_' || c == '-';
      });
}

// The variables that can be expanded yet: one may wait for what only the host knows.
Values known_values(const config::Variables& variables) {
  Values known;
  for (const auto& [name, value] : variables)
    if (const auto expanded = config::expand(value, variables))
      known[name] = *expanded;
  return known;
}

// The host replaces $NAME in what is written there.
std::string as_it_is(std::string_view value) {
  std::string out;
  for (const char c : value)
    out += c == '$' ? std::string("$$") : std::string(1, c);
  return out;
}

} // namespace

std::vector<std::pair<std::string, std::string>> environment_with(const Values& more) {
  Values all;
  for (auto& [name, value] : whole_environment())
    all[name] = std::move(value);
  for (const auto& [name, value] : more)
    all[name] = value;
  return {all.begin(), all.end()};
}

Result<Version> version_of(const SiteFolder& folder, const Laptop& laptop) {
  if (folder.site.version)
    return *folder.site.version;
  if (makefile_inspects(folder.dir, "VERSION"))
    return TRY_IN(
        "make inspect.VERSION", Version::parse(TRY(inspect(laptop, folder.dir, "VERSION"))));
  const std::string file = folder.dir + "/VERSION";
  if (::access(file.c_str(), R_OK) == 0)
    return TRY_IN(printable(file, 1024), Version::parse(trim(TRY(read_text(file, 4096)))));
  return fail(Code::invalid,
      cat(folder.file,
          ": has no \"version\", and there is neither a file VERSION nor a Makefile with inspect.VERSION: "
          "an artifact needs one"));
}

Result<Values> env_values(const SiteFolder& folder, const Version& version, const Laptop& laptop) {
  Values values;
  config::Variables variables{{"SLUGNAME", folder.site.slug.str()},
      {"SERVER_NAME", folder.site.server_name}, {"VERSION", version.str()}};
  for (const config::Variable& variable : folder.site.env) {
    std::string value = variable.value;
    if (!variable.cmd.empty() && (laptop.may_run || value.empty()))
      value = values[variable.name] = TRY_IN(cat("env ", variable.name),
          output_of(laptop, {"/bin/sh", "-c", variable.cmd}, folder.dir, known_values(variables)));
    config::set_variable(variables, variable.name, value);
  }
  return values;
}

Result<Values> make_immutable(const SiteFolder& folder, const Laptop& laptop) {
  Values hashes;
  for (const config::Service& service : folder.site.services) {
    if (!is_made(folder, service))
      continue;
    const std::string context = cat("service ", service.name.str());
    const std::string dir = cat(folder.dir, "/", service.handler);
    const std::string hash = TRY_IN(context, inspect(laptop, dir, "HASH"));
    if (!is_folder_name(hash))
      return fail(Code::invalid,
          cat(context, ": make inspect.HASH printed '", printable(hash, 80),
              "', which is not a hash"));
    if (is_built(dir + "/dist"))
      laptop.say(cat(context, ": dist/ as it is: if it is old, run make in ", printable(dir, 200)));
    else
      TRY_IN(context, output_of(laptop, {"make", "--silent"}, dir, {}));
    hashes[service.name.str()] = hash;
  }
  return hashes;
}

Result<std::string> packed_json(
    const SiteFolder& folder, const Version& version, const Values& values) {
  const bool has_commands = std::ranges::any_of(
      folder.site.env, [](const config::Variable& v) { return !v.cmd.empty(); });
  if (folder.site.version && *folder.site.version == version && !has_commands)
    return folder.json;
  Json site = TRY(parse_json(folder.json, config::k_max_site_json));
  site["version"] = version.str();
  if (has_commands)
    for (Json& variable : site["env"]) {
      if (const auto value = values.find(control::string_or(variable, "name", ""));
          value != values.end())
        variable["value"] = as_it_is(value->second);
      variable.erase("cmd");
    }
  return dump(site) + "\n";
}

} // namespace chillbox::cli
