#include "rollout/known_releases.hpp"

#include "base/text.hpp"
#include "rollout/ports.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace chillbox::rollout {
bool KnownReleases::File::is_same(Seen& seen) const {
  if (!shared)
    return os::FileStamp::of(path) == stamp;
  auto found = seen.files.find(path);
  if (found == seen.files.end())
    found = seen.files.emplace(path, os::FileStamp::of(path)).first;
  return found->second == stamp;
}

// What load() reads, or would if it existed (service_kind.cpp, users.cpp).
std::vector<KnownReleases::File> KnownReleases::files_of(
    const HostContext& host, const LoadedRelease& release) {
  std::vector<File> files;
  files.reserve(3 + 4 * release.services.size());
  const auto add = [&](std::string path, bool shared = true) {
    const os::FileStamp stamp = os::FileStamp::of(path);
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

// By what the store has now.
Result<KnownReleases::Known> KnownReleases::known(HostContext& host, const store::SiteRow& site) {
  const std::scoped_lock lock(m_mutex);
  Known& known = m_known[site.site.str()];
  const uint64_t written = host.store.releases_written(site.site);
  if (known.row && known.live == site.live && known.ports == site.ports && known.written == written)
    return known;
  known = {.live = site.live, .ports = site.ports, .written = written};
  auto row = TRY(rollout::live_row(host, site));
  if (!row)
    return known;
  known.text = std::make_shared<const nginx::TextFacts>(nginx::facts_of_text(row->nginx));
  known.names =
      nginx::names_on(row->nginx, std::array{host.config.http_port, host.config.https_port});
  std::string().swap(row->nginx); // an assignment would keep its memory
  known.row = std::make_shared<const store::Release>(std::move(*row));
  return known;
}

Result<std::shared_ptr<const store::Release>> KnownReleases::live_row(
    HostContext& host, const store::SiteRow& site) {
  return TRY(known(host, site)).row;
}

Result<std::shared_ptr<const LoadedRelease>> KnownReleases::load(
    HostContext& host, const store::SiteRow& site, Seen& seen) {
  auto known = TRY(this->known(host, site));
  if (!known.row) // the site was removed since it was looked at
    return fail(Code::not_found, cat("'", site.site.str(), "' has no live release any more"));
  if (known.release &&
      std::ranges::all_of(known.files, [&](const File& file) { return file.is_same(seen); }))
    return known.release;
  auto loaded = TRY(rollout::load(host, *known.row)); // or says why its files are gone
  loaded.text = known.text;
  loaded.unserved = nginx::unserved(known.names, loaded.site.domains);
  for (auto& p : loaded.services)
    p.port = port_of(site, p.service.name, loaded.row.slot).value_or(0);
  known.files = files_of(host, loaded);
  known.release = std::make_shared<const LoadedRelease>(std::move(loaded));
  const int64_t now = os::real_clock().wall_ms() * 1'000'000;
  const std::scoped_lock lock(m_mutex);
  Known& kept = m_known[site.site.str()];
  const auto is_settled = [&](const File& file) { return file.stamp.is_settled(now); };
  if (kept.row == known.row && std::ranges::all_of(known.files, is_settled)) {
    kept.files = std::move(known.files);
    kept.release = known.release;
  }
  return known.release;
}

void KnownReleases::keep_only(std::span<const store::SiteRow> sites) {
  const std::scoped_lock lock(m_mutex);
  std::erase_if(m_known, [&](const auto& known) {
    return std::ranges::none_of(
        sites, [&](const store::SiteRow& row) { return row.site.str() == known.first; });
  });
}

} // namespace chillbox::rollout
