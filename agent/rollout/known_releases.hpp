// Live releases as they were last read, for `status`, which asks for all of them again and again. A
// job reads what it acts on anew.
#pragma once

#include "os/port.hpp"
#include "rollout/loaded_release.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace chillbox::rollout {

class KnownReleases {
public:
  // All zero: the file does not exist.
  struct Stamp {
    uint64_t device = 0, inode = 0, size = 0;
    int64_t changed_ns = 0, written_ns = 0;
    bool operator==(const Stamp&) const = default;
    static Stamp of(const std::string& path);
  };
  // What one look at all sites needs once.
  struct Seen {
    std::map<std::string, Stamp> files; // that they share
    std::optional<os::Listeners> listeners;
  };
  // As load(), and as fresh: what is kept counts while the site file, the kinds of the release's
  // services and the lists of users are the very files that were read, by device, inode, size and
  // times.
  Result<LoadedRelease> load(HostContext& host, store::Release row, Seen& seen);
  // Forgets every other site.
  void keep_only(std::span<const store::SiteRow> sites);

private:
  struct File {
    std::string path;
    Stamp stamp;
    bool shared = true; // by sites
    bool is_same(Seen& seen) const;
    bool is_settled(int64_t now_ns) const;
  };
  struct Known {
    std::string release;
    std::vector<File> files;
    config::Site site;
    std::vector<PlannedService> services;
    os::User user;
  };
  static std::vector<File> files_of(const HostContext& host, const LoadedRelease& release);
  std::optional<LoadedRelease> recall(const store::Release& row, Seen& seen);

  std::mutex m_mutex;
  std::map<std::string, Known> m_known; // by site
};

} // namespace chillbox::rollout
