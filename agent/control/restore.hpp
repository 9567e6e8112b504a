// What a restore of a site's data would do, as a value. restore_table.hpp has the table of its
// members.
#pragma once

#include "control/backups.hpp"

#include <cstdint>
#include <string>

namespace chillbox::control {

struct RestorePlan {
  Backup backup;
  uint64_t changed = 0;  // files that were written since it was taken
  int64_t newest_ms = 0; // the last of them, 0: none
  uint64_t bytes = 0;    // of the data as they are now
  std::string unknown;   // why the last three are not known; "": they are
};
// Written to a directory, next to nothing of the site's.
struct RestoredTo {
  Backup backup;
  std::string directory;
  std::string warnings; // a line each
};

} // namespace chillbox::control
