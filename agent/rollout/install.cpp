#include "rollout/steps.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

constexpr mode_t k_traverse = 0751; // NGINX may pass through to what is published, and read nothing else

os::Owner of(const os::User& user) { return {user.uid, user.gid}; }
os::Owner root_and(const os::User& user) { return {0, user.gid}; }

Result<void> make_directories(Rollout& r) {
  auto& disk = r.world.disk;
  const auto& paths = r.world.paths;
  const auto& site = r.job.site;
  TRY(disk.make_dir(paths.site(site), k_traverse, root_and(r.user)));
  TRY(disk.make_dir(paths.releases(site), k_traverse, root_and(r.user)));
  TRY(disk.make_dir(paths.cache(site), 0750, root_and(r.user)));
  TRY(disk.make_dir(paths.data(site), 0700, of(r.user)));
  TRY(disk.make_dir(paths.logs_of(site), 0750, {}));
  for (const auto& p : r.services)
    TRY(disk.make_dir(paths.data(site) + "/" + p.service.name.str(), 0700, of(r.user)));
  return {};
}

// What the build of this release added to the site's cache belongs to root from now on, so that no running service changes it.
Result<void> seal_new_layers(Rollout& r, const std::vector<std::string>& before) {
  const std::string cache = r.world.paths.cache(r.job.site);
  TRY(r.world.disk.make_dir(cache, 0750, root_and(r.user)));
  for (const auto& layer : TRY(r.world.disk.list(cache)))
    if (std::ranges::find(before, layer) == before.end())
      (void)TRY_IN(cat("layer ", layer), r.world.disk.seal_tree(cache + "/" + layer, root_and(r.user)));
  return {};
}

Result<void> publish(Rollout& r) {
  for (const auto& p : r.services) {
    const std::string dir = r.release_dir() + "/" + p.service.name.str();
    for (const auto& name : p.kind.published) {
      TRY(r.world.disk.make_dir(dir, k_traverse, root_and(r.user)));
      TRY(r.world.disk.publish_tree(name == "." ? dir : dir + "/" + name));
    }
    const std::string build_dir = cat(r.release_dir(), "/.chillbox/", p.service.name.str());
    if (!r.world.disk.exists(build_dir))
      continue; // all of it came in immutable/
    if (!p.kind.built.empty()) // sealed first: it is the site's user's until then, who could put something else in its place
      (void)TRY(r.world.disk.seal_tree(build_dir, root_and(r.user)));
    for (const auto& name : p.kind.built) {
      TRY(r.world.disk.make_dir(build_dir, k_traverse, root_and(r.user)));
      TRY(r.world.disk.publish_tree(build_dir + "/" + name));
    }
  }
  const std::string immutable = r.release_dir() + "/immutable";
  if (r.world.disk.exists(immutable))
    TRY(r.world.disk.publish_tree(immutable));
  const std::string nginx_root = r.release_dir() + "/nginx/root";
  if (r.world.disk.exists(nginx_root)) {
    TRY(r.world.disk.make_dir(r.release_dir() + "/nginx", k_traverse, root_and(r.user)));
    TRY(r.world.disk.publish_tree(nginx_root));
  }
  return {};
}

Result<void> build_all(Rollout& r) {
  auto& disk = r.world.disk;
  TRY(disk.make_dir(cache_dir(r.world, r.site, r.release_dir()), 0750, of(r.user)));
  auto services = r.services; // those first whose paths the others may want to know
  std::ranges::stable_partition(services, [](const PlannedService& p) { return p.service.lang == "immutable"; });
  for (const auto& p : services) {
    if (!p.kind.builds || !disk.exists(r.release_dir() + "/" + p.service.name.str()))
      continue;
    TRY(disk.make_dir(cat(r.release_dir(), "/.chillbox/", p.service.name.str()), 0750, of(r.user)));
    const Place place{&r.site, &p.service, r.release.version, r.release_dir(), "", 0, r.user};
    TRY_IN(cat("service '", p.service.name.str(), "'"),
           build(r.world, p.kind, place, [&](std::string_view line) { r.output(line); }, [&] { return r.signals.cancelled(); }));
  }
  return {};
}

} // namespace

Result<void> migrate(Rollout& r, const PlannedService& p) {
  if (p.service.release_command.empty())
    return {};
  const Place place{&r.site, &p.service, r.release.version, r.release_dir(), "", 0, r.user};
  const auto environment = TRY(service_environment(r.world, place));
  r.info(cat("release_command of '", p.service.name.str(), "' runs: ", printable(join(p.service.release_command, " "))));
  TRY_IN(cat("service '", p.service.name.str(), "'"),
         release_command(r.world, place, environment, [&](std::string_view line) { r.output(line); }, [&] { return r.signals.cancelled(); }));
  return {};
}

Result<os::User> site_user(World& world, const SiteName& site) {
  if (!world.stager) // tests make no users: there we stand in, under the name that it would have
    return os::User{site.str(), ::geteuid(), ::getegid(), "/"};
  if (auto user = os::find_user(site.str()))
    return user;
  os::Command c;
  c.argv = {world.paths.shipped_hooks() + "/host/user-add", site.str(), world.paths.data(site)};
  c.timeout = os::Millis{30'000};
  const auto exit = TRY_IN("user-add", world.runner.run(c));
  if (!exit.ok())
    return fail(Code::failure, cat("make user '", site.str(), "': ", printable(trim(exit.err))));
  return os::find_user(site.str());
}

Result<void> put_tree(Rollout& r) {
  TRY(make_place(r));
  TRY(r.world.disk.copy_tree(cat(r.stage_dir(), "/", r.job.site.str()), r.release_dir(), root_and(r.user)));
  TRY(r.world.disk.make_dir(r.release_dir(), k_traverse, root_and(r.user)));
  TRY(r.world.disk.make_dir(r.release_dir() + "/.chillbox", k_traverse, root_and(r.user)));
  undo_stage(r);
  return {};
}

// The tree gets its final place before the build, because a virtual environment carries absolute paths.
Result<Next> run_install(Rollout& r) {
  r.user = TRY(site_user(r.world, r.job.site));
  TRY(make_directories(r));
  const uint64_t number = TRY(r.world.store.next_release_number(r.job.site));
  r.release.id = cat(r.site.version->str(), "-", number);
  r.release.version = r.site.version->str();
  r.release.serial = r.verified->statement.serial;
  r.release.sha256 = r.job.sha256;
  r.release.signer = r.verified->signer;
  r.release.created_ms = r.world.clock.wall_ms();
  r.release.state = store::ReleaseState::staged;
  if (const auto set = TRY(r.world.store.secret_set(r.job.site)))
    r.release.secrets = set->sha256;
  r.job.release = r.release.id;
  TRY(r.world.store.update_job(r.job)); // first, so that after a crash nobody has to guess whose the row is
  TRY(r.world.store.put_release(r.release));
  TRY(put_tree(r));
  return Next::go_on;
}

void undo_install(Rollout& r) {
  if (r.release.id.empty() || (r.old && r.old->id == r.release.id))
    return;
  (void)remove_release(r.world, r.job.site, r.release.id);
  (void)link_immutable(r.world, r.job.site);
  r.release.state = store::ReleaseState::failed;
  (void)r.world.store.put_release(r.release);
}

Result<void> build_tree(Rollout& r) {
  const auto before = TRY(r.world.disk.list(r.world.paths.cache(r.job.site)));
  const auto built = build_all(r);
  TRY(seal_new_layers(r, before));
  if (!built)
    return std::unexpected(built.error());
  TRY(publish(r));
  r.release.digest = TRY(r.world.disk.seal_tree(r.release_dir(), root_and(r.user)));
  TRY(r.world.store.put_release(r.release));
  if (r.world.disk.exists(r.release_dir() + "/nginx/templates"))
    TRY(link_compatible(r.world, r.site, r.services));
  return link_immutable(r.world, r.job.site); // before the first page that names them is answered
}

Result<Next> run_build(Rollout& r) {
  TRY(build_tree(r));
  for (const auto& p : r.services)
    if (!takes_over(r, p)) // else once nobody uses its data any more
      TRY(migrate(r, p));
  return Next::go_on;
}

} // namespace chillbox::rollout
