#include "rollout/assets.hpp"
#include "rollout/steps.hpp"

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
Result<void> make_legacy_links(
    HostContext& host, const config::Site& site, const std::vector<PlannedService>& services) {
  const std::string current = host.paths.current(site.slug);
  const std::string srv = srv_dir(host.paths, site.slug),
                    source = source_dir(host.paths, site.slug);
  TRY(claim_directory(host, site.slug, srv));
  TRY(make_link_once(host, current + "/nginx/root", srv + "/root"));
  if (std::ranges::any_of(services, [](const auto& p) { return !p.kind.built.empty(); })) {
    TRY(claim_directory(host, site.slug, source));
    TRY(host.disk.make_dir(source, 0755));
  }
  for (const auto& p : services)
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
