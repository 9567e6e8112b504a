// What `status` answers: the host, its sites, and how their backups are.
#pragma once

#include "control/backups.hpp"
#include "control/messages.hpp"

#include <vector>

namespace chillbox::control {

struct FullStatus : Status {
  std::vector<BackupState> backups; // of the live sites, when there is a target
};

} // namespace chillbox::control
