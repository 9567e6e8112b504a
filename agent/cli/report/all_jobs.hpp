// All jobs of a time, of which chillboxd answers with a thousand at once.
#pragma once

#include "cli/core/period.hpp"
#include "control/messages.hpp"

#include <string>
#include <vector>

namespace chillbox::cli {

// Newest first. site "": of all that may be seen.
Result<std::vector<control::Job>> all_jobs(Call& call, const std::string& site, Period period);

} // namespace chillbox::cli
