// pack --wheels: what the build of a service needs from elsewhere, brought into the service's
// folder dep/. Which programs and files these are is the language's own business: its hook
// `collect` (hooks/handlers/LANGUAGE/collect) is run for the folder CHILLBOX_SERVICE_DIR and prints
// one JSON object: `messages`, an object of words and lines for people, and `replace`, the text of
// files that go into the artifact instead of those in the folder, or null for one that stays out,
// and `depends`, the files that it looked at when there are no others. Exit codes: 2 usage, 3 a
// program is missing, 4 denied.
#pragma once

#include "base/error.hpp"
#include "cli/core/progress.hpp"
#include "cli/core/verb.hpp"
#include "cli/pack/site_folder.hpp"
#include "os/runner.hpp"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace chillbox::cli {

struct CollectOptions {
  bool collects = false; // else the hook only says what is replaced, and what is missing
  bool none = false;     // nothing is missing: the host has it
  std::string python;    // version of the host's; "": this machine's
  std::vector<std::string> platforms;
  bool new_hashes = false;
};
// From --wheels, --no-wheels, --python, --platform, --new-hashes. usage: one without what it is
// about.
Result<CollectOptions> collect_options(const Args& args);

// What `collect` said of one service.
struct CollectAnswer {
  std::map<std::string, std::string> messages; // a word, and a line for people
  Replacements replaced;
  // The files below the service's folder that decided it, besides dep/; nullopt: others, too.
  std::optional<std::vector<std::string>> depends;
};
// hooks: a folder with write_shipped_hooks(). nullopt: the hook cannot be run here, and nothing was
// asked of it.
Result<std::optional<CollectAnswer>> collect_service(const SiteFolder& folder,
    const config::Service& service, const CollectOptions& options, os::Runner& runner,
    const std::string& hooks);

// For each service, by its name, what replaces its own files. What `collect` fails with.
Result<std::map<std::string, Replacements>> collect(const SiteFolder& folder,
    const CollectOptions& options, os::Runner& runner, Progress& progress);

} // namespace chillbox::cli
