// What is known of each site's backups, in the store: all that are at the target or wait to be
// stored, the newest 200 of those that are gone, and how the last tries ended. It outlives the
// site.
#pragma once

#include "control/backups.hpp"
#include "store/store.hpp"

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace chillbox::backup {

struct SiteRecord {
  control::BackupState state;           // of the members that are the last tries'
  std::vector<control::Backup> backups; // newest first
};

class Records {
public:
  explicit Records(store::Store& store) : m_store(store) {}
  Result<SiteRecord> of(const SiteName& site);
  // The last tries, and of when the newest of each kind is: read once, as only this class writes.
  Result<control::BackupState> state(const SiteName& site);
  // In the place of the one with its serial.
  Result<void> put(const control::Backup& backup);
  // Sites whose scheduled backup was not tried yet: the next daemon makes them.
  Result<std::set<SiteName>> due();
  Result<void> keep_due(const std::set<SiteName>& sites);
  // Changes the last tries.
  template <class F> Result<void> change_state(const SiteName& site, F change) {
    const std::lock_guard lock(m_mutex);
    auto record = read(site);
    if (!record)
      return std::unexpected(record.error());
    change(record->state);
    return write(site, *record);
  }

private:
  Result<SiteRecord> read(const SiteName& site);
  Result<void> write(const SiteName& site, const SiteRecord& record);
  store::Store& m_store;
  std::mutex m_mutex;                                   // from reading to writing
  std::map<std::string, control::BackupState> m_states; // by site
};

} // namespace chillbox::backup
