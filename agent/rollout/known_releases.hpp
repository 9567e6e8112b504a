// Live releases as they were last read, for `status`, which asks for all of them again and again. A
// job reads what it acts on anew.
#pragma once

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
  // As load(), and as fresh: what is kept counts while the site file and the kinds of the release's
  // services are the very files that were read, by device, inode, size and times.
  Result<LoadedRelease> load(HostContext& host, store::Release row);
  // Forgets every other site.
  void keep_only(std::span<const store::SiteRow> sites);

private:
  // All zero: the file does not exist.
  struct Stamp {
    uint64_t device = 0, inode = 0, size = 0;
    int64_t changed_ns = 0, written_ns = 0;
    bool operator==(const Stamp&) const = default;
    static Stamp of(const std::string& path);
  };
  struct File {
    std::string path;
    Stamp stamp;
    bool is_same() const;
    bool is_settled(int64_t now_ns) const;
  };
  struct Known {
    std::string release;
    std::vector<File> files;
    config::Site site;
    std::vector<PlannedService> services;
  };
  static std::vector<File> files_of(const HostContext& host, const LoadedRelease& release);
  std::optional<LoadedRelease> recall(const store::Release& row);

  std::mutex m_mutex;
  std::map<std::string, Known> m_known; // by site
};

} // namespace chillbox::rollout
