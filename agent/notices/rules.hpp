// Rules over facts: what is so, and should not be. One table (rules.cpp); a row says which event,
// and finds every place where it is so. What is found is open, what is not any more has ended.
#pragma once

#include "control/backups.hpp"
#include "control/certificate.hpp"
#include "os/disk.hpp"
#include "store/notices.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace chillbox::notices {

struct ServicePlace {
  std::string site, service;
};
struct Facts {
  int64_t now_ms = 0;
  bool locked = false; // and there is a host key to unlock it with
  std::vector<os::FileSystem> disks;
  std::vector<control::Certificate> certificates;
  std::vector<store::Job> unfinished;
  std::vector<ServicePlace> down; // nobody starts them again
  std::vector<control::BackupState> backups;
  std::string engine = {}; // of the fleet: what is wrong with it, "": nothing, or there is none
  std::string audit;       // which entry of the audit trail is not what it was, "": all are
};

// Writes what changed.
Result<void> apply_rules(store::Store& store, const Facts& facts);

} // namespace chillbox::notices
