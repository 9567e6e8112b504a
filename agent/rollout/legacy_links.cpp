#include "rollout/legacy_links.hpp"

#include "rollout/assets.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

// Somebody else's directory or file is left alone.
Result<void> make_link_once(HostContext& host, const std::string& target, const std::string& link) {
  const auto now = host.disk.read_link(link);
  if (!now || (*now && **now == target) || (!*now && host.disk.exists(link)))
    return {};
  TRY(host.disk.make_dir(link.substr(0, link.rfind('/')), 0755));
  return host.disk.set_link(target, link);
}

Result<void> unlink_ours(
    HostContext& host, const SiteName& site, const std::string& link, const std::string& dir) {
  const auto now = host.disk.read_link(link);
  if (!now || !*now || !(*now)->starts_with(host.paths.current(site) + "/"))
    return {};
  TRY(host.disk.remove(link));
  return TRY(host.disk.list(dir)).empty() ? host.disk.remove_tree(dir) : Result<void>();
}

} // namespace

// Through `current`, so that they never change.
Result<void> make_legacy_links(HostContext& host, const LoadedRelease& release) {
  const SiteName& site = release.row.site;
  const std::string current = host.paths.current(site);
  const std::string srv = srv_dir(host.paths, site), source = source_dir(host.paths, site);
  TRY(claim_directory(host, site, srv));
  TRY(make_link_once(host, current + "/nginx/root", srv + "/root"));
  if (std::ranges::any_of(release.services, [](const auto& p) { return !p.kind.built.empty(); })) {
    TRY(claim_directory(host, site, source));
    TRY(host.disk.make_dir(source, 0755));
  }
  for (const auto& p : release.services)
    for (const auto& dir : p.kind.built)
      TRY(make_link_once(host, cat(current, "/.chillbox/", p.service.name.str(), "/", dir),
          cat(source, "/", p.service.name.str(), "/", dir)));
  return {};
}

Result<void> remove_legacy_links(HostContext& host, const SiteName& site) {
  TRY(unlink_ours(host, site, srv_dir(host.paths, site) + "/root", srv_dir(host.paths, site)));
  const std::string source = source_dir(host.paths, site);
  for (const auto& service : TRY(host.disk.list(source)))
    for (const auto& name : TRY(host.disk.list(cat(source, "/", service))))
      TRY(unlink_ours(host, site, cat(source, "/", service, "/", name), cat(source, "/", service)));
  if (host.disk.exists(source) && TRY(host.disk.list(source)).empty())
    return host.disk.remove_tree(source);
  return {};
}

} // namespace chillbox::rollout
