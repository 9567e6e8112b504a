// All jobs of a time, of which chillboxd answers with a thousand at once.
#pragma once

#include "cli/core/period.hpp"
#include "control/messages.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace chillbox::cli {

// Newest first, not more than `most`. site "": of all that may be seen.
Result<std::vector<control::Job>> all_jobs(
    Call& call, const std::string& site, Period period, uint64_t most = UINT64_MAX);

} // namespace chillbox::cli
