// Live releases as they were last read, for `status` and metrics, which ask for all of them again
// and again, and share what is kept. A job reads what it acts on each time.
#pragma once

#include "os/file_stamp.hpp"
#include "os/port.hpp"
#include "rollout/loaded_release.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace chillbox::rollout {

class KnownReleases {
public:
  // What one look at all sites needs once.
  struct Seen {
    std::map<std::string, os::FileStamp> files; // that they share
    std::optional<os::Listeners> listeners;
  };
  // The row of what is live, without its NGINX text, as long as the store has it so; nullptr:
  // nothing is.
  Result<std::shared_ptr<const store::Release>> live_row(
      HostContext& host, const store::SiteRow& site);
  // What is live, as load() has it, with its ports and without its NGINX text, and as fresh: what
  // is kept counts while the site's rows are those of which it was made, and the site file, the
  // kinds of the release's services and the lists of users are the very files that were read, by
  // device, inode, size and times. not_found: nothing is live.
  Result<std::shared_ptr<const LoadedRelease>> load(
      HostContext& host, const store::SiteRow& site, Seen& seen);
  // Forgets every other site.
  void keep_only(std::span<const store::SiteRow> sites);

private:
  struct File {
    std::string path;
    os::FileStamp stamp;
    bool shared = true; // by sites
    bool is_same(Seen& seen) const;
  };
  struct Known {
    std::string live, ports; // of the site's row
    uint64_t written = 0;    // store().releases_written()
    std::shared_ptr<const store::Release> row;
    std::shared_ptr<const nginx::TextFacts> text;
    std::vector<std::string> names; // that servers of the text have
    std::vector<File> files;
    std::shared_ptr<const LoadedRelease> release; // nullptr: to be read
  };
  static std::vector<File> files_of(const HostContext& host, const LoadedRelease& release);
  Result<Known> known(HostContext& host, const store::SiteRow& site);

  std::mutex m_mutex;
  std::map<std::string, Known> m_known; // by site
};

} // namespace chillbox::rollout
