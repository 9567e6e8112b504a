// Which serials hosts have, asked by ssh: what is packed for them must be greater.
#pragma once

#include "base/error.hpp"
#include "base/names.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace chillbox::cli {

// The greatest that any of these hosts (USER@HOST) has installed of the site's releases, or of its
// secret sets; 0: none has any. usage: no host; unreachable, and what else a host answers.
Result<uint64_t> installed_serial(
    const std::vector<std::string>& hosts, const SiteName& site, bool secrets);

} // namespace chillbox::cli
