// Snapshots of a site's data as values. snapshots_table.hpp has the tables of their members. Times
// are milliseconds since 1970, UTC.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::control {

struct Snapshot {
  uint64_t number = 0; // in its site, they grow; an exchange puts newer data under an old one
  std::string kind;    // "deploy", "rollback", "restore": before what it was taken
  std::string release; // that worked with these data
  std::string before;  // the release that was to work with them next, "" : not known
  std::string job;
  int64_t time_ms = 0; // when it was begun
  uint64_t bytes = 0, entries = 0;
  bool cloned = false; // it shares its blocks with the data
};
struct SnapshotList {
  std::string site;
  std::vector<Snapshot> snapshots;
};
// What a rollback with the data would take away.
struct DataLoss {
  std::string site, release; // to go to
  Snapshot snapshot;
  uint64_t changed = 0;  // files that were written since
  int64_t newest_ms = 0; // the last of them, 0: none
  uint64_t bytes = 0;    // of the data as they are now
  std::string unknown;   // why the last three are not known; "": they are
};

} // namespace chillbox::control
