// Commands that a site's own files name for the laptop: env[].cmd, and the two targets of the
// original's Makefiles. They are run with sh, in the site's folder, as its author wrote them, and
// printed first: someone who packs a site signs its code anyway. The host never sees a command.
#pragma once

#include "base/error.hpp"
#include "cli/pack/site_folder.hpp"
#include "os/runner.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chillbox::cli {

struct Laptop {
  os::Runner& runner;
  bool may_run = true;                       // --no-commands
  std::function<void(std::string_view)> say; // prints each command before it runs
};

// This process's environment, and `more` over it.
std::vector<std::pair<std::string, std::string>> environment_with(
    const std::map<std::string, std::string>& more);

// What the site file says, else what `make inspect.VERSION` does, else what the file VERSION holds.
Result<Version> version_of(const SiteFolder& folder, const Laptop& laptop);
// NAME of each env[].cmd to what it printed, without the line ends that close it. A command sees
// SLUGNAME, SERVER_NAME, VERSION and the site's variables before its own. denied: it must not run,
// and the site file has no value for it.
Result<std::map<std::string, std::string>> env_values(
    const SiteFolder& folder, const Version& version, const Laptop& laptop);
// Each immutable service that has the original's Makefile: its name to what `make inspect.HASH`
// says. Where dist/ is empty `make` fills it.
Result<std::map<std::string, std::string>> make_immutable(
    const SiteFolder& folder, const Laptop& laptop);
// The site file with that version and these values stored and no commands; byte for byte the same
// when nothing was added.
Result<std::string> packed_json(const SiteFolder& folder, const Version& version,
    const std::map<std::string, std::string>& values);

} // namespace chillbox::cli
