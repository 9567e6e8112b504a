// All jobs of a time, of which chillboxd answers with a thousand at once.
#pragma once

#include "cli/core/period.hpp"
#include "control/messages.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace chillbox::cli {

// The newest of this time, not more than `limit`: by when they were created.
using AskForJobs = std::function<Result<control::JobList>(const Period&, uint64_t limit)>;
// Newest first, not more than `most`, asked for in pages.
Result<std::vector<control::Job>> all_jobs(
    const AskForJobs& ask, Period period, uint64_t most = UINT64_MAX, uint64_t page = 1000);
// The same of this host. site "": of all that may be seen.
Result<std::vector<control::Job>> all_jobs(
    Call& call, const std::string& site, Period period, uint64_t most = UINT64_MAX);

} // namespace chillbox::cli
