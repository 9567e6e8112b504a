// A site on the laptop: a folder with SLUG.site.json or SLUG.site.toml and the services' folders,
// and what of it goes into the artifact (the site contract, "The artifact"). Services lie in the
// archive under their own name, nginx/, redis/ and immutable/ as they are. Nothing here runs
// anything; site_commands.hpp does.
#pragma once

#include "artifact/pack.hpp"
#include "base/error.hpp"
#include "cli/pack/ignore.hpp"
#include "config/site.hpp"

#include <map>
#include <string>
#include <vector>

namespace chillbox::cli {

struct SiteFolder {
  std::string dir;  // where the services' folders are
  std::string file; // path of the site file
  std::string json; // its text, or that of the JSON which its TOML means
  config::Site site;
  IgnoreList ignore; // dir/.chillboxignore
};

// path: the folder, or the site file in it. sources: the folder of the services when they are not
// beside the site file. A local.site.json beside another site file is for its author's machine, as
// with the original chillbox, and left alone. not_found: no site file; usage: several; invalid:
// every problem of the file, one a line, each beginning with the file's name.
Result<SiteFolder> read_site_folder(const std::string& path, const std::string& sources = "");

// Of an immutable service that is built by the original's Makefile: its `dist` is what is taken,
// below the hash that `make inspect.HASH` says.
bool is_made(const SiteFolder& folder, const config::Service& service);
// Whether the Makefile in a folder says `inspect.NAME`.
bool makefile_inspects(const std::string& dir, std::string_view name);
bool runs_python(const config::Service& service);

struct LayoutOptions {
  std::map<std::string, std::string> hashes; // of made immutable services, by their names
  bool wheels = false; // a python service's dep goes in though its manifest does not list it
};
// Everything that the archive holds. not_found: a handler's folder or a file of its manifest.
Result<std::vector<artifact::PackEntry>> archive_entries(
    const SiteFolder& folder, const std::string& site_json, const LayoutOptions& how = {});

} // namespace chillbox::cli
