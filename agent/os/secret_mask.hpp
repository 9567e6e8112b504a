// The mask of a site's secret set, from its files in memory (/run/chillbox/secrets/SITE): for every
// process that keeps or passes on what the site's programs print. Whoever makes one can read the
// set anyway.
#pragma once

#include "base/mask.hpp"

#include <string>

namespace chillbox::os {

// Of SERVICE/FILE below this directory: the values of every text file of at most a megabyte
// (base/secret_values.hpp). Masks nothing where there is no set.
Mask mask_of_set(int directory);
Mask mask_of_set(const std::string& directory);

} // namespace chillbox::os
