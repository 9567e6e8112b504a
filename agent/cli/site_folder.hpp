// A site on the laptop: a folder with SLUG.site.json and the services' folders, and what of it goes into the artifact (the site contract,
// "The artifact"). Services lie in the archive under their own name, nginx/, redis/ and immutable/ as they are. The values of env[].cmd
// are found here, by running the commands without a shell, and the host never sees a command.
#pragma once

#include "artifact/pack.hpp"
#include "base/error.hpp"
#include "config/site.hpp"
#include "os/runner.hpp"

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

struct SiteFolder {
  std::string dir;
  std::string file; // path of the site file
  std::string json; // its text
  config::Site site;
};

// path: the folder, or the site file in it. not_found: no site file; usage: several; invalid: every problem of the file, one a line,
// each beginning with the file's name.
Result<SiteFolder> read_site_folder(const std::string& path);

// Runs each env[].cmd in the folder, with this process's environment: NAME to what it printed, without the line ends that close it.
// say: told the command before it runs.
Result<std::map<std::string, std::string>> env_values(const SiteFolder& folder, os::Runner& runner,
                                                      const std::function<void(std::string_view)>& say);
// The site file with these values stored and their commands gone; byte for byte the same when there are none.
Result<std::string> with_env_values(std::string_view json, const std::map<std::string, std::string>& values);

// Everything that the archive holds. not_found: a handler's folder or a file of its manifest.
Result<std::vector<artifact::PackEntry>> lay_out(const SiteFolder& folder, const std::string& site_json);

} // namespace chillbox::cli
