// Services that must not run twice (`strategy: stop-first`): their old copy has stopped before the
// new one starts. All others of the release are up and were checked by then, and NGINX likes the
// new text, so that the gap is as short as the two copies allow. It is measured and kept with the
// job.
#include "rollout/steps.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

std::vector<openrc::SlotName> copies(
    HostContext& host, const SiteName& site, const std::string& service, Slot slot) {
  auto names = host.slots.all();
  std::erase_if(names, [&](const auto& name) {
    return name.site != site || name.service.str() != service || name.slot != slot;
  });
  return names;
}

std::vector<PlannedService> only(
    const std::vector<PlannedService>& services, const std::set<std::string>& names) {
  std::vector<PlannedService> some;
  std::ranges::copy_if(services, std::back_inserter(some),
      [&](const auto& p) { return names.contains(p.service.name.str()); });
  return some;
}

std::vector<std::string> waiting_for_secrets(HostContext& host, const config::Site& site) {
  std::vector<std::string> services;
  for (const auto& file : missing_secrets(host, site))
    services.emplace_back(split(file, '/')[0]);
  return services;
}

} // namespace

std::set<std::string> stop_first_services(
    HostContext& host, const SiteName& site, const std::string& release) {
  std::set<std::string> names;
  const auto text =
      host.disk.read(cat(host.paths.releases(site), "/", release, "/", site.str(), ".site.json"),
          config::k_max_site_json);
  const auto parsed =
      text ? config::parse_site(*text, site) : Result<config::Site>(fail(Code::not_found, ""));
  if (parsed)
    for (const auto& service : parsed->services)
      if (service.strategy == config::Strategy::stop_first)
        names.insert(service.name.str());
  return names;
}

bool must_stop_first(const JobContext& r, const PlannedService& p) {
  return p.service.strategy == config::Strategy::stop_first && r.old &&
      r.old->slot != r.release.slot &&
      !copies(r.host, r.job.site, p.service.name.str(), r.old->slot).empty();
}

void end_downtime(JobContext& r) {
  if (!r.downtime_begun)
    return;
  r.job.gap_ms = (r.host.clock.mono() - *r.downtime_begun).count();
  r.info(cat(join({r.stop_first.begin(), r.stop_first.end()}, ", "), " away for ", r.job.gap_ms,
      " ms (stop-first)"));
  r.downtime_begun.reset();
}

Result<Next> run_stop_first(JobContext& r) {
  const auto services = only(r.services, r.stop_first);
  if (services.empty())
    return Next::proceed;
  if (r.control.cancelled())
    return fail(Code::interrupted, "cancelled before the old copies stopped");
  r.downtime_begun = r.host.clock.mono();
  for (const auto& p : services)
    for (const auto& name : copies(r.host, r.job.site, p.service.name.str(), r.old->slot))
      TRY(r.host.slots.stop(name, k_stop_grace));
  for (const auto& p : services)
    if (r.job.kind == store::JobKind::deploy)
      TRY(migrate(r, p));
  TRY(start_slots(r.host, r.site, services, r.release, r.user, {}));
  for (const auto& p : services)
    if (p.kind.listens != ServiceKind::Listens::no)
      TRY(wait_healthy(r, p));
  return Next::proceed;
}

// Also of a job that a crash ended: who is to give back is read from the two releases. Those that
// run already are left alone.
void undo_stop_first(JobContext& r) {
  if (!r.old || r.release.slot == Slot::none || r.release.slot == r.old->slot || r.row.stopped)
    return;
  auto names = stop_first_services(r.host, r.job.site, r.release.id);
  names.merge(stop_first_services(r.host, r.job.site, r.old->id));
  if (names.empty())
    return;
  keep_last_lines(r); // before the old copies write to the same logs
  for (const auto& service : names)
    for (const auto& name : copies(r.host, r.job.site, service, r.release.slot))
      if (auto stopped = r.host.slots.stop(name, grace_of_undone(r, name)); !stopped)
        return r.output(cat("the new copy of '", service,
            "' does not stop, and its old one must not run next to it: ", stopped.error().message));
  JobContext back(r.host, r.job, r.control);
  back.row = r.row;
  back.release = *r.old;
  auto up = load_release(back);
  if (up)
    up = assign_ports(r.host, back.row, back.services, r.old->slot);
  back.services = only(back.services, names);
  if (up)
    up = start_slots(r.host, back.site, back.services, *r.old, back.user,
        waiting_for_secrets(r.host, back.site));
  if (!up)
    return r.output(cat("cannot start the old copy of ", join({names.begin(), names.end()}, ", "),
        " again: ", up.error().message));
  for (const auto& p : back.services)
    (void)wait_for_probe(r.host, r.control, back.site, p, r.old->slot);
  end_downtime(r);
}

Result<void> stop_second_copies(
    HostContext& host, const config::Site& site, const store::Release& release) {
  auto names = stop_first_services(host, site.slug, release.id);
  for (const auto& name : host.slots.all())
    if (name.site == site.slug && name.slot != release.slot)
      names.merge(stop_first_services(host, site.slug, host.slots.release_in(name)));
  for (const auto& service : names)
    for (const auto& name : copies(host, site.slug, service, other_slot(release.slot)))
      TRY(host.slots.stop(name, k_stop_grace));
  return {};
}

} // namespace chillbox::rollout
