// The tables of control/carried.hpp, for messages.cpp.
#pragma once

#include "control/backups_table.hpp"
#include "control/carried.hpp"

namespace chillbox::control {

constexpr auto table(const BackupArchive*) {
  using A = BackupArchive;
  return message("backup_archive", "A backup whose file comes along.",
      Member{"backup", &A::backup, ""}, Member{"signature", &A::signature, "text of its .minisig"},
      Member{"key", &A::key, "the minisign key that made the signature"});
}

constexpr auto table(const JobsImported*) {
  return message("jobs_imported", "", Member{"jobs", &JobsImported::jobs, "so many are new here"});
}

} // namespace chillbox::control
