// The host's side of a deploy by ssh, `chillboxctl deploy -`: host_session.hpp has the lines. It
// has no rights of its own: chillboxd decides what its caller may.
#pragma once

#include "cli/core/verb.hpp"

namespace chillbox::cli {

Result<void> serve_deploy(Call& call);

} // namespace chillbox::cli
