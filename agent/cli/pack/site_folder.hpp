// A site on the laptop: a folder with SLUG.site.json or SLUG.site.toml and the services' folders,
// and the part of it that goes into the artifact. Services have their own names in the archive;
// nginx/, redis/ and immutable/ keep theirs. Nothing here runs
// anything; site_commands.hpp does.
#pragma once

#include "artifact/pack.hpp"
#include "base/error.hpp"
#include "cli/pack/ignore.hpp"
#include "cli/pack/kinds.hpp"
#include "config/site.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::cli {

struct SiteFolder {
  std::string dir;  // where the services' folders are
  std::string file; // path of the site file
  std::string json; // its text, or that of the JSON which its TOML means
  config::Site site;
  IgnoreList ignore; // dir/.chillboxignore
  Kinds kinds;

  const config::Kind& kind_of(const config::Service& service) const {
    return kinds.find(service.lang);
  }
};

// path: the folder, or the site file in it. sources: the folder of the services when they are not
// next to the site file. A local.site.json next to another site file is for its author's machine,
// as with the original chillbox, and ignored. not_found: no site file; usage: several; invalid:
// every problem of the file, one a line, each beginning with the file's name.
Result<SiteFolder> read_site_folder(
    const std::string& path, const std::string& sources = "", Kinds kinds = {});

// A path in the folder of a service, below the site's: "web/app.py"; "app.py" of the handler ".".
std::string below(const config::Service& service, std::string_view path);
// Of a service with a hashed path that is built by the original's Makefile: its `dist` is what is
// taken, below the hash that `make inspect.HASH` says.
bool is_made(const SiteFolder& folder, const config::Service& service);
// Whether the Makefile in a folder says `inspect.NAME`.
bool makefile_inspects(const std::string& dir, std::string_view name);
// Whether `collect` brings what its build needs into its dep/.
bool is_collected(const SiteFolder& folder, const config::Service& service);

// Paths in a service's folder to the text that goes into the archive; nullopt: the file stays out.
using Replacements = std::map<std::string, std::optional<std::string>>;

struct LayoutOptions {
  std::map<std::string, std::string> hashes; // of made immutable services, by their names
  bool wheels = false; // a service's dep/ goes in although its manifest does not list it
  std::map<std::string, Replacements> replaced = {}; // by the names of services
};
// What was left out, by the last part of its path (with a / if it is a folder), and how often.
using LeftOut = std::map<std::string, size_t>;
// Everything that the archive holds. not_found: a handler's folder or a file of its manifest.
Result<std::vector<artifact::PackEntry>> archive_entries(const SiteFolder& folder,
    const std::string& site_json, const LayoutOptions& how = {}, LeftOut* left_out = nullptr);
// Looks at what the files of an archive hold (private_keys.hpp); the lines are warnings. denied:
// private keys that .chillboxignore does not take by name. What `collect` brought is not looked at:
// what a registry published is nobody's secret.
Result<std::vector<std::string>> check_contents(
    const SiteFolder& folder, const std::vector<artifact::PackEntry>& entries);

} // namespace chillbox::cli
