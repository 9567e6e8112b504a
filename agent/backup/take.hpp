// Makes one archive of a site's data, on this host: `before`, the snapshot as the site's user, the
// digests, the signature. Afterwards it lies with its .minisig in backups_dir(), and stays there
// until it is stored at the target. Of one that failed nothing stays.
#pragma once

#include "backup/archive.hpp"
#include "backup/snapshot.hpp"
#include "config/backup.hpp"
#include "config/site.hpp"
#include "openrc/slots.hpp"
#include "os/clock.hpp"

#include <atomic>
#include <functional>

namespace chillbox::backup {

struct Taker {
  os::Disk& disk;
  os::Runner& runner;
  os::Clock& clock;
  os::Paths paths;
  const config::HostBackup& config;
  std::string host_name; // in the names of backups
  bool as_root;
  // What a command of the site is run with, as in cron::Scheduler.
  std::function<Result<openrc::SlotSpec>(const SiteName& site, const std::string& line)> prepare;
  const std::atomic<bool>* stop = nullptr;
};

struct Wanted {
  SiteName site;
  std::string release; // that is live
  uint64_t serial = 0;
  bool stopped = false; // nothing of it runs, not even `before`
};

struct Taken {
  ArchiveName name;
  Digest sha256;
  uint64_t size = 0; // of the archive
  SnapshotReport report;
};

// sealed: `before` needs a secret; not_found: no release is live.
Result<Taken> take(const Taker& host, const Wanted& wanted);
// Signs the draft of an archive and gives it its name. The signature comes first: an archive under
// its name has one.
struct Stored {
  Digest sha256;
  uint64_t size = 0;
};
Result<Stored> sign_archive(os::Disk& disk, const os::Paths& paths, const ArchiveName& name,
    const std::string& release, const std::string& draft);
std::string archive_path(const os::Paths& paths, const ArchiveName& name);

} // namespace chillbox::backup
