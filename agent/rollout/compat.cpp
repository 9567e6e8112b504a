#include "rollout/steps.hpp"

#include "base/text.hpp"

namespace chillbox::rollout {
namespace {

std::string source_dir(World& world, const SiteName& site) { return cat(world.paths.root, "/usr/local/src/", site.str()); }
std::string srv_dir(World& world, const SiteName& site) { return cat(world.paths.root, "/srv/", site.str()); }

// Somebody else's directory or file is left alone.
Result<void> link_once(World& world, const std::string& target, const std::string& link) {
  const auto now = world.disk.read_link(link);
  if (!now || (*now && **now == target) || (!*now && world.disk.exists(link)))
    return {};
  TRY(world.disk.make_dir(link.substr(0, link.rfind('/')), 0755));
  return world.disk.set_link(target, link);
}

Result<void> unlink_ours(World& world, const SiteName& site, const std::string& link, const std::string& dir) {
  const auto now = world.disk.read_link(link);
  if (!now || !*now || !(*now)->starts_with(world.paths.current(site) + "/"))
    return {};
  TRY(world.disk.remove(link));
  return TRY(world.disk.list(dir)).empty() ? world.disk.remove_tree(dir) : Result<void>();
}

} // namespace

// Through `current`, so that they never change.
Result<void> link_compatible(World& world, const config::Site& site, const std::vector<PlannedService>& services) {
  const std::string current = world.paths.current(site.slug);
  TRY(link_once(world, current + "/nginx/root", srv_dir(world, site.slug) + "/root"));
  for (const auto& p : services)
    if (!p.kind.built.empty())
      TRY(world.disk.make_dir(source_dir(world, site.slug), 0755)); // not by the way: parents get the daemon's umask
  for (const auto& p : services)
    for (const auto& dir : p.kind.built)
      TRY(link_once(world, cat(current, "/.chillbox/", p.service.name.str(), "/", dir),
                    cat(source_dir(world, site.slug), "/", p.service.name.str(), "/", dir)));
  return {};
}

Result<void> unlink_compatible(World& world, const SiteName& site) {
  TRY(unlink_ours(world, site, srv_dir(world, site) + "/root", srv_dir(world, site)));
  const std::string source = source_dir(world, site);
  for (const auto& service : TRY(world.disk.list(source)))
    for (const auto& name : TRY(world.disk.list(cat(source, "/", service))))
      TRY(unlink_ours(world, site, cat(source, "/", service, "/", name), cat(source, "/", service)));
  if (world.disk.exists(source) && TRY(world.disk.list(source)).empty())
    return world.disk.remove_tree(source);
  return {};
}

} // namespace chillbox::rollout
