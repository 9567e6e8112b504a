#include "rollout/stop_first.hpp"
#include "rollout/build.hpp"
#include "rollout/health.hpp"
#include "rollout/ports.hpp"
#include "rollout/slots.hpp"
#include "rollout/steps.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

std::vector<openrc::SlotName> copies(
    HostContext& host, const SiteName& site, const std::set<std::string>& services, Slot slot) {
  auto names = host.slots.all();
  std::erase_if(names, [&](const auto& name) {
    return name.site != site || !services.contains(name.service.str()) || name.slot != slot;
  });
  return names;
}

// The release with these of its services.
LoadedRelease only(LoadedRelease release, const std::set<std::string>& names) {
  std::erase_if(
      release.services, [&](const auto& p) { return !names.contains(p.service.name.str()); });
  return release;
}

// The services of an installed release that must not run twice; none when it cannot be read.
std::set<std::string> stop_first_services(
    const HostContext& host, const SiteName& site, const std::string& release) {
  std::set<std::string> names;
  if (const auto parsed = read_site(host.disk, cat(host.paths.releases(site), "/", release), site))
    for (const auto& service : parsed->services)
      if (service.strategy == config::Strategy::stop_first)
        names.insert(service.name.str());
  return names;
}

} // namespace

bool must_stop_first(const JobContext& r, const PlannedService& p) {
  return p.service.strategy == config::Strategy::stop_first && r.old &&
      r.old->slot != r.release.row.slot &&
      !copies(r.host, r.job.site, {p.service.name.str()}, r.old->slot).empty();
}

void end_downtime(JobContext& r) {
  if (!r.downtime_begun)
    return;
  r.job.gap_ms = (r.host.clock.mono() - *r.downtime_begun).count();
  const bool some = !r.stop_first.empty();
  r.info(cat(some ? join({r.stop_first.begin(), r.stop_first.end()}, ", ") : "the site",
      " away for ", r.job.gap_ms, some ? " ms (stop-first)" : " ms"));
  r.downtime_begun.reset();
}

namespace {

Result<Next> run_stop_first(JobContext& r) {
  const auto release = only(r.release, r.stop_first);
  if (release.services.empty())
    return Next::proceed;
  if (r.control.cancelled())
    return fail(Code::interrupted, "cancelled before the old copies stopped");
  r.downtime_begun = r.host.clock.mono();
  TRY(r.host.slots.stop_all(copies(r.host, r.job.site, r.stop_first, r.old->slot)));
  for (const auto& p : release.services)
    if (r.job.kind == store::JobKind::deploy)
      TRY(migrate(r, p));
  TRY(start_slots(r.host, release, {}));
  for (const auto& p : release.services)
    if (p.listens())
      TRY(wait_healthy(r, p));
  return Next::proceed;
}

// The old copies of these services run again.
Result<void> start_again(JobContext& r, const std::set<std::string>& names) {
  auto back = TRY(load(r.host, *r.old));
  auto row = r.row;
  TRY(assign_ports(r.host, row, back));
  back = only(std::move(back), names);
  TRY(start_slots(r.host, back, services_of(back.site, missing_secrets(r.host, back.site))));
  for (const auto& p : back.services)
    (void)wait_for_probe(r.host, r.control, back, p);
  return {};
}

} // namespace

// Also of a job that a crash ended: which services are to be given back is read from the two
// releases.
Result<void> undo_stop_first(JobContext& r) {
  if (!r.old || r.release.row.slot == Slot::none || r.release.row.slot == r.old->slot ||
      r.was_stopped)
    return {};
  auto names = stop_first_services(r.host, r.job.site, r.release.row.id);
  names.merge(stop_first_services(r.host, r.job.site, r.old->id));
  if (names.empty())
    return {};
  keep_last_lines(r); // before the old copies write to the same logs
  TRY_IN("a new copy does not stop, and its old one must not run next to it",
      stop_undone(r, copies(r.host, r.job.site, names, r.release.row.slot)));
  TRY_IN(cat("cannot start the old copy of ", join({names.begin(), names.end()}, ", "), " again"),
      start_again(r, names));
  end_downtime(r);
  return {};
}

Result<void> stop_second_copies(HostContext& host, const LoadedRelease& release) {
  const SiteName& site = release.row.site;
  auto names = stop_first_services(host, site, release.row.id);
  for (const auto& name : host.slots.all())
    if (name.site == site && name.slot != release.row.slot)
      names.merge(stop_first_services(host, site, host.slots.release_in(name)));
  return host.slots.stop_all(copies(host, site, names, other_slot(release.row.slot)));
}

extern const Step k_stop_first{.name = "stop-first",
    .run = run_stop_first,
    .undo = undo_stop_first,
    .ends_watch = true,
    .old_name = "handover"};

} // namespace chillbox::rollout
