// What comes from another host, as values. carried_table.hpp has the tables of their members.
#pragma once

#include "control/backups.hpp"

#include <cstdint>
#include <string>

namespace chillbox::control {

// A backup whose file comes along: `backup get`.
struct BackupArchive {
  Backup backup;
  std::string signature; // text of the .minisig
  std::string key;       // the public half of the key that made it
};
struct JobsImported {
  uint64_t jobs = 0; // so many are new here
};

} // namespace chillbox::control
