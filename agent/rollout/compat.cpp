#include "rollout/assets.hpp"
#include "rollout/steps.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

// Somebody else's directory or file is left alone.
Result<void> link_once(World& world, const std::string& target, const std::string& link) {
  const auto now = world.disk.read_link(link);
  if (!now || (*now && **now == target) || (!*now && world.disk.exists(link)))
    return {};
  TRY(world.disk.make_dir(link.substr(0, link.rfind('/')), 0755));
  return world.disk.set_link(target, link);
}

Result<void> unlink_ours(
    World& world, const SiteName& site, const std::string& link, const std::string& dir) {
  const auto now = world.disk.read_link(link);
  if (!now || !*now || !(*now)->starts_with(world.paths.current(site) + "/"))
    return {};
  TRY(world.disk.remove(link));
  return TRY(world.disk.list(dir)).empty() ? world.disk.remove_tree(dir) : Result<void>();
}

} // namespace

// Through `current`, so that they never change.
Result<void> link_compatible(
    World& world, const config::Site& site, const std::vector<PlannedService>& services) {
  const std::string current = world.paths.current(site.slug);
  const std::string srv = srv_dir(world.paths, site.slug),
                    source = source_dir(world.paths, site.slug);
  TRY(claim_directory(world, site.slug, srv));
  TRY(link_once(world, current + "/nginx/root", srv + "/root"));
  if (std::ranges::any_of(services, [](const auto& p) { return !p.kind.built.empty(); })) {
    TRY(claim_directory(world, site.slug, source));
    TRY(world.disk.make_dir(source, 0755));
  }
  for (const auto& p : services)
    for (const auto& dir : p.kind.built)
      TRY(link_once(world, cat(current, "/.chillbox/", p.service.name.str(), "/", dir),
          cat(source, "/", p.service.name.str(), "/", dir)));
  return {};
}

Result<void> unlink_compatible(World& world, const SiteName& site) {
  TRY(unlink_ours(world, site, srv_dir(world.paths, site) + "/root", srv_dir(world.paths, site)));
  const std::string source = source_dir(world.paths, site);
  for (const auto& service : TRY(world.disk.list(source)))
    for (const auto& name : TRY(world.disk.list(cat(source, "/", service))))
      TRY(unlink_ours(
          world, site, cat(source, "/", service, "/", name), cat(source, "/", service)));
  if (world.disk.exists(source) && TRY(world.disk.list(source)).empty())
    return world.disk.remove_tree(source);
  return {};
}

} // namespace chillbox::rollout
