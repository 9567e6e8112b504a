#include "rollout/known_releases.hpp"

#include "base/text.hpp"
#include "rollout/install.hpp"
#include "rollout/tmpfs_release.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

namespace chillbox::rollout {
namespace {

// All zero: the file does not exist.
struct Stamp {
  uint64_t device = 0, inode = 0, size = 0;
  int64_t changed_ns = 0, written_ns = 0;
  bool operator==(const Stamp&) const = default;
};

constexpr int64_t k_second_ns = 1'000'000'000;

Stamp stamp_of(const std::string& path) {
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0)
    return {};
  return {st.st_dev, st.st_ino, static_cast<uint64_t>(st.st_size),
      st.st_ctim.tv_sec * k_second_ns + st.st_ctim.tv_nsec,
      st.st_mtim.tv_sec * k_second_ns + st.st_mtim.tv_nsec};
}

struct File {
  std::string path;
  Stamp stamp;
  bool is_same() const { return stamp_of(path) == stamp; }
  // A file that was changed a moment ago may change again without another time.
  bool is_settled(int64_t now_ns) const { return stamp.changed_ns < now_ns - k_second_ns; }
};

struct Known {
  std::string release;
  std::vector<File> files;
  config::Site site;
  std::vector<PlannedService> services;
};

// What load() reads, or would if it existed (service_kind.cpp).
std::vector<File> files_of(const HostContext& host, const LoadedRelease& release) {
  std::vector<File> files;
  const auto add = [&](std::string path) {
    const Stamp stamp = stamp_of(path);
    files.push_back({std::move(path), stamp});
  };
  add(cat(release.dir(host.paths), "/", release.row.site.str(), ".site.json"));
  for (const auto& p : release.services)
    for (const auto& hooks : {host.paths.admin_hooks(), host.paths.shipped_hooks()})
      for (const char* name : {"/kind.json", "/describe"})
        add(cat(hooks, "/handlers/", p.service.lang, name));
  return files;
}

std::mutex g_mutex;
std::map<std::string, Known> g_known; // by the site's directory

std::optional<LoadedRelease> recall(const std::string& place, const store::Release& row) {
  const std::scoped_lock lock(g_mutex);
  const auto found = g_known.find(place);
  if (found == g_known.end() || found->second.release != row.id ||
      !std::ranges::all_of(found->second.files, &File::is_same))
    return std::nullopt;
  LoadedRelease release(row);
  release.site = found->second.site;
  release.services = found->second.services;
  return release;
}

} // namespace

Result<LoadedRelease> load_known(HostContext& host, store::Release row) {
  const std::string place = host.paths.site(row.site);
  if (needs_rebuild(host, row))
    return load(host, std::move(row)); // which says why
  if (auto known = recall(place, row)) {
    known->user = TRY(site_user(host, row.site));
    return std::move(*known);
  }
  auto loaded = TRY(load(host, std::move(row)));
  Known known{loaded.row.id, files_of(host, loaded), loaded.site, loaded.services};
  const int64_t now = os::real_clock().wall_ms() * 1'000'000;
  const std::scoped_lock lock(g_mutex);
  if (std::ranges::all_of(known.files, [&](const File& file) { return file.is_settled(now); }))
    g_known.insert_or_assign(place, std::move(known));
  else
    g_known.erase(place);
  return loaded;
}

} // namespace chillbox::rollout
