// What a rollback with the data, or a restore of them, takes away: shown before it is asked for.
#pragma once

#include "cli/core/verb.hpp"
#include "control/snapshots.hpp"

#include <cstdint>
#include <string>

namespace chillbox::cli {

// Which files were written since then, the newest of them when. `unknown`: why that is not known.
void show_written(
    Terminal& terminal, uint64_t changed, int64_t newest_ms, const std::string& unknown);
// Of a rollback with the data to this version or release, "": the last good one. What is written to
// the data since their snapshot is not there afterwards. not_found: there is no such snapshot.
Result<control::DataLoss> show_data_loss(
    Call& call, const std::string& site, const std::string& version);

} // namespace chillbox::cli
