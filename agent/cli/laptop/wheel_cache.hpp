// What the builds of a site's services need from elsewhere (pack/collect.hpp), for the host that is
// deployed to. It is resolved again only when something that it depends on has changed: the files
// that the language's hook names, what lies in dep/, the host's Python, libc and machine, or this
// program.
#pragma once

#include "cli/laptop/deploy_lines.hpp"
#include "cli/laptop/places.hpp"
#include "cli/pack/collect.hpp"
#include "control/messages.hpp"

#include <map>
#include <string>

namespace chillbox::cli {

struct Collected {
  std::map<std::string, Replacements> replaced; // by service
  std::string text; // "wheels for Python 3.12 (musl): unchanged"; "": nothing is collected
};
// again: whatever is remembered.
Result<Collected> collect_cached(const Places& places, const SiteFolder& folder,
    const control::Facts& facts, bool again, os::Runner& runner, DeployLines& lines);

} // namespace chillbox::cli
