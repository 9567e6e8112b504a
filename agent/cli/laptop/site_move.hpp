// `move`: a site from one host to another, with its data. How far it is stands on the first host,
// as the reason of a hold, so that whoever runs it again, on this laptop or another, goes on there:
//
//   (none)              nothing was begun
//   "moving to WEB2"    the first host has the data; it serves, or shows its maintenance page
//   "moved to WEB2"     the second host serves; the first one shows its maintenance page
//
// The data of the host that they come from are never changed, so that each step can be run again.
#pragma once

#include "cli/core/verb.hpp"

namespace chillbox::cli {

Result<void> move_site(Call& call);

} // namespace chillbox::cli
