#include "rollout/manifest.hpp"
#include "rollout/steps.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

// Text files under nginx/templates/ of a release by name.
Result<std::map<std::string, std::string>> templates_of(
    World& world, const std::string& release_dir) {
  std::map<std::string, std::string> texts;
  const std::string dir = release_dir + "/nginx/templates";
  for (const auto& name : TRY(world.disk.list(dir)))
    if (name.ends_with(".nginx.conf.template"))
      texts[name] = TRY(world.disk.read(dir + "/" + name, 256 * 1024));
  return texts;
}

// What NGINX serves of it by itself under its name.
std::string files_of(const PlannedService& p) {
  const std::string& name = p.service.name.str();
  if (p.kind.hashed)
    return {}; // under its hash only
  if (!p.kind.built.empty())
    return cat(".chillbox/", name, "/", p.kind.built[0]);
  if (p.kind.published.empty())
    return {};
  return p.kind.published[0] == "." ? name : cat(name, "/", p.kind.published[0]);
}

void put_back(Rollout& r, const store::SiteRow& row, const store::Release& old) {
  Rollout back(r.world, r.job, r.signals);
  back.row = row; // its ports
  back.release = old;
  if (auto loaded = load_release(back); !loaded)
    return r.output(cat("cannot read the release to go back to: ", loaded.error().message));
  (void)assign_ports(r.world, back.row, back.services, old.slot);
  undo_handover(r);
  // Warm as a rule, then this does nothing; after a restart in the watch it may be down.
  if (auto up = start_slots(r.world, back.site, back.services, old, back.user, {}); !up)
    r.output(cat("cannot start the release to go back to: ", up.error().message));
  for (const auto& p : back.services)
    (void)wait_for_probe(r.world, r.signals, back.site, p, old.slot);
  if (auto pointed = point_links(r.world, back.site, back.services, old); !pointed)
    return r.output(cat("cannot point the links back: ", pointed.error().message));
  (void)r.world.store.claim_hosts(r.job.site, back.site.domains);
  const bool failed =
      r.job.kind == store::JobKind::deploy; // what a rollback goes to was good, and may be so again
  (void)r.world.store.commit_live(r.job.site, old, failed, r.world.clock.wall_ms());
}

} // namespace

Result<std::string> render(World& world, const config::Site& site,
    const std::vector<PlannedService>& services, const store::Release& release) {
  return render_from(
      world, site, services, release.version, world.paths.releases(site.slug) + "/" + release.id);
}

Result<std::string> render_from(World& world, const config::Site& site,
    const std::vector<PlannedService>& services, const std::string& version,
    const std::string& tree) {
  nginx::SiteInput input{.site = &site, .host = &world.config, .paths = world.paths};
  input.release_dir = tree;
  input.templates = TRY(templates_of(world, tree));
  const auto ports = TRY(port_variables(site, services));
  for (const auto& p : services) {
    nginx::Upstream upstream{.service = p.service.name,
        .front = p.kind.front() && !p.service.worker,
        .hashed = p.kind.hashed};
    if (p.kind.listens == Kind::Listens::on_socket)
      upstream.socket = world.paths.live_socket(site.slug, p.service.name.str());
    upstream.port = p.port;
    upstream.files = files_of(p);
    input.upstreams.push_back(std::move(upstream));
  }
  input.variables = site_variables(world, site, version, ports);
  return nginx::render_site(input);
}

Result<void> point_links(World& world, const config::Site& site,
    const std::vector<PlannedService>& services, const store::Release& release) {
  const std::string live = world.paths.live(site.slug);
  TRY(world.disk.make_dir(live, 0755));
  std::vector<std::string> wanted;
  for (const auto& p : services)
    if (p.kind.listens == Kind::Listens::on_socket) {
      wanted.push_back(p.service.name.str() + ".sock");
      TRY(world.disk.set_link(
          slot_socket(world, site, p, release.slot), live + "/" + wanted.back()));
    }
  TRY(world.disk.set_link("releases/" + release.id, world.paths.current(site.slug)));
  for (const auto& name : TRY(world.disk.list(live)))
    if (std::ranges::find(wanted, name) == wanted.end())
      TRY(world.disk.remove(live + "/" + name));
  return {};
}

Result<void> set_sealed_flag(World& world, const SiteName& site, bool sealed) {
  const std::string flag = world.paths.run() + "/sealed/" + site.str();
  return sealed ? world.disk.write(flag, "", 0644) : world.disk.remove(flag);
}

Result<Next> run_configure(Rollout& r) {
  r.release.nginx = TRY(render(r.world, r.site, r.services, r.release));
  if (r.release.nginx == TRY(r.world.nginx.installed(r.job.site)))
    return Next::go_on;
  TRY(r.world.nginx.test(r.job.site, r.release.nginx));
  r.info("the NGINX configuration changes, `nginx -t` is content");
  return Next::go_on;
}

// All that could fail is behind us. The links first, then the store: until the store says
// otherwise, a restart points the links back.
Result<Next> run_switch(Rollout& r) {
  if (r.signals.cancelled())
    return fail(Code::interrupted, "cancelled before the switch");
  TRY(r.world.store.claim_hosts(r.job.site, r.site.domains));
  TRY(set_sealed_flag(r.world, r.job.site,
      !missing_secrets(r.world, r.site).empty())); // of a site that is only started
  if (r.row.stopped) {
    r.row.stopped = false;
    TRY(r.world.store.put_site(r.row));
  }
  if (r.job.kind == store::JobKind::deploy)
    TRY(write_manifest(r.world, r.job.site,
        &r.release)); // so that a store that is lost after this can be made again
  TRY(point_links(r.world, r.site, r.services, r.release));
  r.release.state = store::ReleaseState::good;
  r.release.live_ms = r.world.clock.wall_ms();
  TRY(r.world.store.commit_live(r.job.site, r.release, false, r.release.live_ms));
  r.signals.switched = true;
  if (std::ranges::none_of(
          r.services, [](const auto& p) { return p.kind.listens == Kind::Listens::on_port; }))
    end_gap(r); // else with the reload
  return Next::go_on;
}

void undo_switch(Rollout& r) {
  const auto row = r.world.store.site(r.job.site);
  if (!row || r.release.id.empty())
    return;
  const bool committed = *row && (*row)->live == r.release.id;
  if (r.old) {
    if (committed)
      return put_back(r, **row, *r.old);
    // Links may point to the new slot already; the store still says the old release.
    Rollout back(r.world, r.job, r.signals);
    back.release = *r.old;
    if (load_release(back)) {
      (void)point_links(r.world, back.site, back.services, *r.old);
      (void)r.world.store.claim_hosts(r.job.site, back.site.domains);
    }
    return;
  }
  // A first release that did not hold: there is nothing to go back to, so the site is not live.
  (void)r.world.disk.remove_tree(r.world.paths.live(r.job.site));
  (void)r.world.disk.remove(r.world.paths.current(r.job.site));
  (void)r.world.store.claim_hosts(r.job.site, {});
  if (committed) {
    auto changed = **row;
    changed.live.clear();
    (void)r.world.store.put_site(changed);
  }
}

Result<Next> run_reload(Rollout& r) {
  r.old_nginx = TRY(r.world.nginx.installed(r.job.site));
  if (r.old_nginx == r.release.nginx) {
    end_gap(r);
    return Next::go_on;
  }
  TRY(r.world.nginx.install(r.job.site, r.release.nginx));
  TRY(r.world.nginx.reload());
  TRY(r.world.nginx.ask_by_name(r.job.site, r.release.nginx));
  r.info("NGINX serves the new configuration");
  end_gap(r);
  return Next::go_on;
}

void undo_reload(Rollout& r) {
  const std::string before = r.old ? r.old->nginx : "";
  const auto now = r.world.nginx.installed(r.job.site);
  if (!now || *now == before)
    return;
  if (auto back = r.world.nginx.install(r.job.site, before); !back)
    return r.output(cat("cannot put the old NGINX file back: ", back.error().message));
  if (auto back = r.world.nginx.reload(); !back)
    r.output(cat("NGINX did not take the old file back: ", back.error().message));
}

} // namespace chillbox::rollout
