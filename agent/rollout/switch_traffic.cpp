#include "rollout/switch_traffic.hpp"
#include "rollout/health.hpp"
#include "rollout/manifest.hpp"
#include "rollout/ports.hpp"
#include "rollout/redis.hpp"
#include "rollout/service_environment.hpp"
#include "rollout/shared_data.hpp"
#include "rollout/slots.hpp"
#include "rollout/steps.hpp"
#include "rollout/stop_first.hpp"
#include "rollout/watch.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "base/unsynced.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

// Text files under nginx/templates/ of a release by name.
Result<std::map<std::string, std::string>> templates_of(
    HostContext& host, const std::string& release_dir) {
  std::map<std::string, std::string> texts;
  const std::string dir = release_dir + "/nginx/templates";
  for (const auto& name : TRY(host.disk.list(dir)))
    if (name.ends_with(".nginx.conf.template"))
      texts[name] = TRY(host.disk.read(dir + "/" + name, 256 * 1024));
  return texts;
}

// What NGINX itself serves of it under its name.
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

constexpr os::Millis k_write_pause{1'000}; // nothing says when a disk has room again

// As long as the store does not know where visitors are, a boot would bring back what they do not
// get any more: what it could not take, as on a full disk, is tried until it does or the daemon
// ends. The next one finds the job where it stands, and does this again.
template <class F> Result<void> until_written(JobContext& r, F&& write) {
  for (bool said = false;; said = true) {
    auto written = write();
    if (written || r.control.stopping() || written.error().code == Code::conflict ||
        written.error().code == Code::corrupt || written.error().code == Code::not_found)
      return written;
    if (!said)
      log::error(cat("job ", r.job.id, ": ", written.error().message,
          ": it is tried again until it is written"));
    r.control.pause(k_write_pause);
  }
}

// Of a release whose copies may be down, such as after a restart in the watch; warm as a rule, then
// this does nothing.
Result<void> wake_old(JobContext& r, const LoadedRelease& back) {
  const auto waiting = services_of(back.site, missing_secrets(r.host, back.site));
  const std::string what = cat("not all of ", back.row.version, " runs");
  TRY_IN(what, start_slots(r.host, back, waiting));
  for (const auto& p : back.services)
    if (r.unwell.empty() && p.listens() &&
        std::ranges::find(waiting, p.service.name.str()) == waiting.end())
      if (const auto up = wait_for_probe(r.host, r.control, back, p); !up)
        r.unwell = up.error().message;
  return {};
}

Result<void> start_back(JobContext& r, const LoadedRelease& back) {
  auto whole = undo_stop_first(r);
  // What a job that ran next to the watch left there, when the daemon was restarted in it.
  auto strangers = r.host.slots.all();
  std::erase_if(strangers, [&](const auto& name) {
    return name.site != r.job.site || name.slot != back.row.slot || is_redis(name) ||
        r.host.slots.release_in(name) == back.row.id;
  });
  if (auto stopped = stop_undone(r, strangers); !stopped)
    r.output(cat("the slot of the release to roll back to: ", stopped.error().message));
  if (auto up = wake_old(r, back); !up && whole)
    whole = std::move(up);
  return whole;
}

// What does not hold keeps its visitors if they cannot be sent back; its copies must run on then.
Result<void> put_back(JobContext& r, store::SiteRow row, const store::Release& old) {
  r.keeps_new = true;
  auto back = TRY_IN("cannot read the release to roll back to", load(r.host, old));
  TRY(assign_ports(r.host, row, back));
  auto whole = r.was_stopped ? Result<void>{} : start_back(r, back);
  TRY_IN("cannot point the links back", point_links(r.host, back));
  const bool failed =
      r.job.kind == store::JobKind::deploy; // what a rollback goes to was good, and may be so again
  TRY(until_written(r, [&]() -> Result<void> {
    TRY(r.host.store.commit_live(r.job.site, old, failed, r.host.clock.wall_ms()));
    return r.was_stopped ? r.host.store.set_stopped(r.job.site, true) : Result<void>{};
  }));
  r.keeps_new = false;
  TRY(r.host.store.claim_hosts(r.job.site, back.site.domains));
  return whole;
}

} // namespace

Result<std::string> render(HostContext& host, const LoadedRelease& release) {
  return render_from(host, release, release.dir(host.paths));
}

Result<std::string> render_from(
    HostContext& host, const LoadedRelease& release, const std::string& tree) {
  nginx::SiteInput input{.site = &release.site, .host = &host.config, .paths = host.paths};
  input.release_dir = tree;
  input.templates = TRY(templates_of(host, tree));
  if (const std::string snippet = tree + "/nginx/server.conf"; host.disk.exists(snippet))
    input.snippet = TRY(host.disk.read(snippet, 256 * 1024));
  const auto ports = TRY(port_variables(release));
  for (const auto& p : release.services) {
    nginx::Upstream upstream{.service = p.service.name,
        .front = p.kind.front() && !p.service.worker,
        .hashed = p.kind.hashed};
    if (p.kind.listens == ServiceKind::Listens::on_socket)
      upstream.socket = host.paths.live_socket(release.row.site, p.service.name.str());
    upstream.port = p.port;
    upstream.slot_ports = p.slot_ports;
    upstream.files = files_of(p);
    upstream.web = p.service.web;
    upstream.health = p.service.health;
    input.upstreams.push_back(std::move(upstream));
  }
  input.variables = site_variables(host, release.site, release.row.version, ports);
  return nginx::render_site(input);
}

Result<void> point_ports(HostContext& host, const LoadedRelease& release) {
  for (const auto& p : release.services)
    if (p.kind.listens == ServiceKind::Listens::on_port) {
      const auto flag = nginx::slot_flag(host.paths, release.row.site, p.service.name.str());
      const bool wanted = release.row.slot == Slot::b;
      if (host.disk.exists(flag) != wanted)
        TRY(wanted ? host.disk.write(flag, "", 0644) : host.disk.remove(flag));
    }
  return {};
}

bool ports_are_pointed(HostContext& host, const LoadedRelease& release) {
  return std::ranges::all_of(release.services, [&](const auto& p) {
    return p.kind.listens != ServiceKind::Listens::on_port ||
        host.disk.exists(nginx::slot_flag(host.paths, release.row.site, p.service.name.str())) ==
        (release.row.slot == Slot::b);
  });
}

Result<void> point_links(HostContext& host, const LoadedRelease& release, bool ports) {
  const std::string live = host.paths.live(release.row.site);
  TRY(host.disk.make_dir(live, 0755));
  std::vector<std::string> wanted;
  for (const auto& p : release.services)
    if (p.kind.listens == ServiceKind::Listens::on_socket) {
      wanted.push_back(p.service.name.str() + ".sock");
      TRY(host.disk.set_link(slot_socket(host, release, p), live + "/" + wanted.back()));
    } else if (p.kind.listens == ServiceKind::Listens::on_port) {
      wanted.push_back(p.service.name.str() + ".b"); // nginx::slot_flag
    }
  if (ports)
    TRY(point_ports(host, release));
  TRY(host.disk.set_link("releases/" + release.row.id, host.paths.current(release.row.site)));
  for (const auto& name : TRY(host.disk.list(live)))
    if (std::ranges::find(wanted, name) == wanted.end())
      TRY(host.disk.remove(live + "/" + name));
  return {};
}

Result<void> set_sealed_flag(HostContext& host, const SiteName& site, bool sealed) {
  const std::string flag = host.paths.run() + "/sealed/" + site.str();
  return sealed ? host.disk.write(flag, "", 0644) : host.disk.remove(flag);
}

namespace {

Result<Next> run_configure(JobContext& r) {
  TRY(share_data(r.host, r.release)); // also of a release that a rollback goes to
  r.release.row.nginx = TRY(render(r.host, r.release));
  if (r.release.row.nginx == TRY(r.host.nginx.installed(r.job.site)))
    return Next::proceed;
  TRY(r.host.nginx.test(r.job.site, r.release.row.nginx));
  r.info("NGINX configuration changed; `nginx -t` passed");
  return Next::proceed;
}

// A release is good when its watch has ended well, or when its site or the host wants none.
store::ReleaseState state_at_switch(const JobContext& r) {
  if (watch_of(r) <= os::Millis::zero())
    return store::ReleaseState::good;
  return r.job.kind == store::JobKind::deploy ? store::ReleaseState::unproven : r.release.row.state;
}

// So that a store that is lost after the switch can be made again. What fails is tried again at the
// end of the job.
void keep_manifest(JobContext& r) {
  std::optional<UnsyncedNames> later; // the file is written once more when the watch ends
  if (r.release.row.state == store::ReleaseState::unproven)
    later.emplace();
  if (const auto written = write_manifest(r.host, r.job.site); !written)
    log::warn(cat("site '", r.job.site.str(), "': ", written.error().message));
}

// All that could fail has been done. The links first, then the store: until the store says
// otherwise, a restart points the links back.
Result<Next> run_switch(JobContext& r) {
  if (r.control.cancelled())
    return fail(Code::interrupted, "cancelled before the switch");
  std::optional<Unsynced> later(std::in_place); // commit_live makes it durable with itself
  TRY(r.host.store.claim_hosts(r.job.site, r.release.site.domains));
  TRY(set_sealed_flag(r.host, r.job.site,
      !missing_secrets(r.host, r.release.site).empty())); // of a site that is only started
  later.reset();
  r.release.row.state = state_at_switch(r);
  if (r.job.kind !=
      store::JobKind::start) // that starts what was live, with all that is known of it
    r.release.row.message = r.warning.empty() ? "" : cat(k_warning, r.warning);
  // Of another text the ports are chosen once NGINX has it: of those of the live slot both texts
  // have the same, of the new one perhaps not.
  const bool same_text = TRY(r.host.nginx.installed(r.job.site)) == r.release.row.nginx;
  note_respawns(r);
  {
    const UnsyncedNames pointed; // a boot points them where the store says
    TRY(point_links(r.host, r.release, same_text));
  }
  r.release.row.live_ms = r.host.clock.wall_ms();
  TRY(r.host.store.commit_live(
      r.job.site, r.release.row, r.job.kind == store::JobKind::watch, r.release.row.live_ms));
  r.control.has_switched();
  if (same_text || std::ranges::none_of(r.release.services, [](const auto& p) {
        return p.kind.listens == ServiceKind::Listens::on_port;
      }))
    end_downtime(r); // else with the reload
  if (r.job.kind == store::JobKind::deploy)
    keep_manifest(r);
  return Next::proceed;
}

Result<void> undo_switch(JobContext& r) {
  if (r.release.row.id.empty())
    return {};
  const auto row = TRY(r.host.store.site(r.job.site));
  const bool committed = row && row->live == r.release.row.id;
  if (r.old) {
    if (committed)
      return put_back(r, *row, *r.old);
    // Links may point to the new slot already; the store still says the old release.
    r.keeps_new = true;
    const auto back = TRY_IN("cannot read the release that is live", load(r.host, *r.old));
    TRY_IN("cannot point the links back", point_links(r.host, back));
    r.keeps_new = false;
    return r.host.store.claim_hosts(r.job.site, back.site.domains);
  }
  // A first release that did not hold: there is nothing to go back to, so the site is not live.
  r.keeps_new = committed;
  if (committed)
    TRY(until_written(r, [&] { return r.host.store.set_not_live(r.job.site); }));
  r.keeps_new = false;
  TRY(r.host.disk.remove_tree(r.host.paths.live(r.job.site)));
  TRY(r.host.disk.remove(r.host.paths.current(r.job.site)));
  return r.host.store.claim_hosts(r.job.site, {});
}

Result<Next> run_reload(JobContext& r) {
  r.old_nginx = TRY(r.host.nginx.installed(r.job.site));
  if (r.old_nginx == r.release.row.nginx) {
    TRY(point_ports(r.host, r.release)); // done, unless the daemon was restarted in between
    end_downtime(r);
    return Next::proceed;
  }
  TRY(r.host.nginx.install(r.job.site, r.release.row.nginx));
  TRY(r.host.nginx.reload());
  TRY(point_ports(r.host, r.release));
  TRY(r.host.nginx.ask_by_name(r.job.site, r.release.row.nginx));
  r.info("NGINX serves the new configuration");
  end_downtime(r);
  return Next::proceed;
}

Result<void> undo_reload(JobContext& r) {
  const std::string before = r.old ? r.old->nginx : "";
  if (TRY(r.host.nginx.installed(r.job.site)) == before)
    return {};
  if (r.old) // before the old text: of the old slot's port both have the same
    if (const auto loaded = load(r.host, *r.old)) // else the undo of the switch says it
      TRY_IN("cannot choose the old ports", point_ports(r.host, *loaded));
  TRY_IN("cannot restore the old NGINX file", r.host.nginx.install(r.job.site, before));
  TRY_IN("NGINX did not accept the old file", r.host.nginx.reload());
  return {};
}

} // namespace

extern const Step k_configure{.name = "configure", .run = run_configure};
extern const Step k_switch{.name = "switch",
    .run = run_switch,
    .undo = undo_switch,
    .phase = Step::Phase::commit,
    .ends_watch = true};
extern const Step k_reload{
    .name = "reload", .run = run_reload, .undo = undo_reload, .phase = Step::Phase::after_commit};

} // namespace chillbox::rollout
