// Backups of sites' data as values. backups_table.hpp has the tables of their members. Times are
// milliseconds since 1970, UTC; 0: not yet, or never.
#pragma once

#include "base/names.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace chillbox::control {

struct Backup {
  SiteName site;
  uint64_t serial = 0;
  std::string name;                        // at the target
  std::string release;                     // that was live
  uint64_t size = 0, bytes = 0, files = 0; // of the archive; of what is in it
  std::string sha256;                      // of the archive
  int64_t taken_ms = 0, stored_ms = 0, proven_ms = 0;
  int64_t gone_ms = 0;  // it was deleted at the target, or never got there
  std::string warnings; // a line each
};

// What is known of a site's backups together.
struct BackupState {
  SiteName site;
  int64_t taken_ms = 0, stored_ms = 0, proven_ms = 0; // when the newest of each kind was taken
  int64_t tried_ms = 0;                               // the last try to make and store one
  std::string problem;                                // why that failed, "": it did not
  int64_t checked_ms = 0;                             // the last try to prove one
  std::string unproven;                               // why that failed
  int64_t next_ms = 0;                                // when the next one is due
  std::string retention; // what came of the last deletions that should not, "": nothing
  std::string stale;     // what is wrong by now and what to do; "": nothing
};

struct BackupList {
  std::string target; // "": none is configured
  std::string key;    // the public half of the key that signs them
  std::vector<BackupState> sites;
  std::vector<Backup> backups; // newest first
};
struct BackupAnswer {
  Backup backup;
};

} // namespace chillbox::control
