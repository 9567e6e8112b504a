// `move`: a site from one host to another, with its data. The first host keeps how far it is, as
// the reason of a hold, so that the same command continues there, from this laptop or another:
//
//   (none)              nothing was begun
//   "moving to WEB2"    the first host has the data; it serves, or shows its maintenance page
//   "starting on WEB2"  both have the data; what the second host writes from here on counts
//   "moved to WEB2"     the second host serves; the first one shows its maintenance page
//
// The data of the host that they come from are never changed, so that each step can be run again.
#pragma once

#include "cli/core/verb.hpp"

namespace chillbox::cli {

Result<void> move_site(Call& call);

} // namespace chillbox::cli
