#include "cli/pack/site_folder.hpp"

#include "base/text.hpp"
#include "cli/core/file_input.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view k_json = ".site.json";
constexpr std::string_view k_toml = ".site.toml";
constexpr std::string_view k_local_site = "local.site.json";
constexpr std::string_view k_ignore = ".chillboxignore";

bool is_site_file(std::string_view name) {
  return (name.ends_with(k_json) && name.size() > k_json.size()) ||
      (name.ends_with(k_toml) && name.size() > k_toml.size());
}

Result<std::string> find_site_file(const std::string& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) {
    if (is_site_file(fs::path(path).filename().string()))
      return path;
    return fail(Code::usage,
        cat(printable(path, 1024), ": a site file is named SITE.site.json or SITE.site.toml"));
  }
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(path, error))
    if (const std::string name = entry.path().filename(); is_site_file(name))
      found.push_back(name);
  if (error)
    return fail_errno(cat("read ", printable(path, 1024)), error.value());
  if (found.size() > 1)
    std::erase(found, k_local_site);
  std::ranges::sort(found);
  if (found.empty())
    return fail(
        Code::not_found, cat(printable(path, 1024), ": no SITE.site.json or SITE.site.toml in it"));
  if (found.size() > 1)
    return fail(Code::usage,
        cat(printable(path, 1024), ": several site files (", join(found, ", "),
            "): name the one that is meant"));
  return cat(path, "/", found[0]);
}

std::unexpected<Error> with_name(const std::string& name, const Error& error) {
  std::string problems;
  for (const auto line : split(error.message, '\n'))
    if (!line.empty())
      problems += cat(problems.empty() ? "" : "\n", name, ": ", line);
  return fail(error.code, problems);
}

Result<config::TomlSite> parse(
    const std::string& name, const std::string& text, const config::KnownKinds& kinds) {
  const bool toml = name.ends_with(k_toml);
  const SiteName slug = TRY_IN(name, SiteName::parse(name.substr(0, name.size() - k_json.size())));
  if (toml)
    return config::parse_site_toml(text, name, slug, kinds);
  auto site = config::parse_site(text, slug, kinds);
  if (!site)
    return with_name(name, site.error());
  return config::TomlSite{std::move(*site), text};
}

Result<IgnoreList> read_ignore(const std::string& dir) {
  const std::string path = cat(dir, "/", k_ignore);
  std::error_code error;
  if (!fs::exists(path, error))
    return IgnoreList::parse("");
  return TRY_IN(k_ignore, IgnoreList::parse(TRY(read_text(path, 1 << 20))));
}

} // namespace

Result<SiteFolder> read_site_folder(
    const std::string& path, const std::string& sources, Kinds kinds) {
  const std::string file = TRY(find_site_file(path));
  const auto slash = file.rfind('/');
  const std::string name = file.substr(slash == std::string::npos ? 0 : slash + 1);
  const std::string beside = slash == std::string::npos ? "."
      : slash == 0                                      ? "/"
                                                        : file.substr(0, slash);
  const std::string dir = sources.empty() ? beside : sources;
  const std::string text = TRY(read_input(file, config::k_max_site_json));
  auto parsed = TRY(parse(name, text, kinds.known()));
  auto ignore = TRY(read_ignore(dir));
  return SiteFolder{dir, file, std::move(parsed.json), std::move(parsed.site), std::move(ignore),
      std::move(kinds)};
}

bool makefile_inspects(const std::string& dir, std::string_view name) {
  for (const char* file : {"GNUmakefile", "makefile", "Makefile"}) {
    const std::string path = cat(dir, "/", file);
    if (::access(path.c_str(), R_OK) != 0)
      continue;
    const auto text = read_text(path, 1 << 20);
    return text && std::ranges::any_of(split(*text, '\n'), [&](std::string_view line) {
      return line.starts_with(cat("inspect.", name, ":")) || line.starts_with("inspect.%:");
    });
  }
  return false;
}

std::string below(const config::Service& service, std::string_view path) {
  return service.handler == "." ? std::string(path) : cat(service.handler, "/", path);
}

bool is_made(const SiteFolder& folder, const config::Service& service) {
  return service.of.empty() && folder.kind_of(service).hashed &&
      makefile_inspects(cat(folder.dir, "/", service.handler), "HASH");
}

bool is_collected(const SiteFolder& folder, const config::Service& service) {
  return service.of.empty() && !folder.kind_of(service).language.empty();
}

} // namespace chillbox::cli
