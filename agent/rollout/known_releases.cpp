#include "rollout/known_releases.hpp"

#include "base/text.hpp"
#include "rollout/tmpfs_release.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace chillbox::rollout {
namespace {

constexpr int64_t k_second_ns = 1'000'000'000;

} // namespace

KnownReleases::Stamp KnownReleases::Stamp::of(const std::string& path) {
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0)
    return {};
  return {st.st_dev, st.st_ino, static_cast<uint64_t>(st.st_size),
      st.st_ctim.tv_sec * k_second_ns + st.st_ctim.tv_nsec,
      st.st_mtim.tv_sec * k_second_ns + st.st_mtim.tv_nsec};
}

bool KnownReleases::File::is_same(Seen& seen) const {
  if (!shared)
    return Stamp::of(path) == stamp;
  auto found = seen.files.find(path);
  if (found == seen.files.end())
    found = seen.files.emplace(path, Stamp::of(path)).first;
  return found->second == stamp;
}

// A file that was changed a moment ago may change again without another time.
bool KnownReleases::File::is_settled(int64_t now_ns) const {
  return stamp.changed_ns < now_ns - k_second_ns;
}

// What load() reads, or would if it existed (service_kind.cpp, users.cpp).
std::vector<KnownReleases::File> KnownReleases::files_of(
    const HostContext& host, const LoadedRelease& release) {
  std::vector<File> files;
  const auto add = [&](std::string path, bool shared = true) {
    const Stamp stamp = Stamp::of(path);
    files.push_back({std::move(path), stamp, shared});
  };
  add(cat(release.dir(host.paths), "/", release.row.site.str(), ".site.json"), false);
  for (const char* people : {"/etc/passwd", "/etc/group"})
    add(people);
  for (const auto& p : release.services)
    for (const auto& hooks : {host.paths.admin_hooks(), host.paths.shipped_hooks()})
      for (const char* name : {"/kind.json", "/describe"})
        add(cat(hooks, "/handlers/", p.service.lang, name));
  return files;
}

std::optional<LoadedRelease> KnownReleases::recall(const store::Release& row, Seen& seen) {
  const std::scoped_lock lock(m_mutex);
  const auto found = m_known.find(row.site.str());
  if (found == m_known.end() || found->second.release != row.id ||
      !std::ranges::all_of(
          found->second.files, [&](const File& file) { return file.is_same(seen); }))
    return std::nullopt;
  LoadedRelease release(row);
  release.site = found->second.site;
  release.services = found->second.services;
  release.user = found->second.user;
  return release;
}

Result<LoadedRelease> KnownReleases::load(HostContext& host, store::Release row, Seen& seen) {
  if (needs_rebuild(host, row))
    return rollout::load(host, std::move(row)); // which says why
  if (auto known = recall(row, seen))
    return std::move(*known);
  auto loaded = TRY(rollout::load(host, std::move(row)));
  Known known{loaded.row.id, files_of(host, loaded), loaded.site, loaded.services, loaded.user};
  const int64_t now = os::real_clock().wall_ms() * 1'000'000;
  const std::scoped_lock lock(m_mutex);
  if (std::ranges::all_of(known.files, [&](const File& file) { return file.is_settled(now); }))
    m_known.insert_or_assign(loaded.row.site.str(), std::move(known));
  else
    m_known.erase(loaded.row.site.str());
  return loaded;
}

void KnownReleases::keep_only(std::span<const store::SiteRow> sites) {
  const std::scoped_lock lock(m_mutex);
  std::erase_if(m_known, [&](const auto& known) {
    return std::ranges::none_of(
        sites, [&](const store::SiteRow& row) { return row.site.str() == known.first; });
  });
}

} // namespace chillbox::rollout
