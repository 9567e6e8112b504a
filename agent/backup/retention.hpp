// Which backups are kept. By their serials, newest first, and by the day, week and month in which
// each says that it was taken; the clock of now has no part in it, so one that is wrong deletes
// nothing: it can only give many backups the same day.
#pragma once

#include "config/backup.hpp"
#include "control/backups.hpp"

#include <cstdint>
#include <vector>

namespace chillbox::backup {

// The serials of those that may go, of all that are at the target. Never the newest one, and never
// the newest that is proven.
std::vector<uint64_t> superfluous(
    const std::vector<control::Backup>& newest_first, const config::Keep& keep);

} // namespace chillbox::backup
