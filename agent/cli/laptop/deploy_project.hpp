// `deploy [DIR]`: from a folder to a live site. For each host, one after the other: asks it what it
// is, collects what it needs, packs, signs, sends by ssh, and follows the job.
#pragma once

#include "cli/core/verb.hpp"

namespace chillbox::cli {

Result<void> deploy_project(Call& call);

} // namespace chillbox::cli
