#include "rollout/bring_up.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "rollout/steps.hpp"
#include "rollout/trust.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

// The links as the store has them, written only where they differ: a restart of the daemon costs no
// sync.
Result<void> mend_links(Rollout& r) {
  const auto current = TRY(r.world.disk.read_link(r.world.paths.current(r.job.site)));
  bool right = current == "releases/" + r.release.id &&
      r.world.disk.exists(r.world.paths.live(r.job.site)); // its folder says: up since the boot
  if (current && current != "releases/" + r.release.id)    // faults 121: never silently
    log::warn(cat("site '", r.job.site.str(), "': current pointed to '", printable(*current),
        "', the store says ", r.release.id, ": it is put right"));
  for (const auto& p : r.services)
    if (p.kind.listens == Kind::Listens::on_socket) {
      const auto link =
          TRY(r.world.disk.read_link(r.world.paths.live_socket(r.job.site, p.service.name.str())));
      right = right && link == slot_socket(r.world, r.site, p, r.release.slot);
    }
  return right ? Result<void>{} : point_links(r.world, r.site, r.services, r.release);
}

Result<void> mend_nginx(Rollout& r) {
  TRY(r.world.nginx.guard_logs(r.job.site));
  if (r.release.nginx.empty() || TRY(r.world.nginx.installed(r.job.site)) == r.release.nginx)
    return {};
  TRY(r.world.nginx.install(r.job.site, r.release.nginx));
  return r.world.nginx.reload();
}

} // namespace

namespace {

// What must not be started again. Since the boot it was up already: it goes on as it is. Else
// visitors get the page of a sealed host, and no file of it either.
Result<BroughtUp> refuse(World& world, const SiteName& site, Error why) {
  if (!world.disk.exists(world.paths.live(site))) {
    TRY(set_sealed_flag(world, site, true));
    TRY(stop_slots(world, site, Slot::none));
    TRY(world.disk.remove(world.paths.current(site)));
  }
  return std::unexpected(std::move(why));
}

} // namespace

Result<BroughtUp> bring_up(World& world, const SiteName& site, bool keep_other_slot) {
  Signals signals;
  return bring_up(world, site, keep_other_slot, signals);
}

Result<BroughtUp> bring_up(
    World& world, const SiteName& site, bool keep_other_slot, Signals& signals) {
  const auto row = TRY(world.store.site(site));
  if (!row || row->live.empty() || row->stopped) {
    if (!keep_other_slot)
      TRY(stop_slots(world, site, Slot::none));
    return BroughtUp{};
  }
  Rollout r(world,
      store::Job{.id = cat("start-", site.str()), .kind = store::JobKind::start, .site = site},
      signals);
  r.row = *row;
  const auto release = TRY(world.store.release(site, row->live));
  if (!release)
    return fail(Code::corrupt,
        cat("site '", site.str(), "': live release ", row->live, " is not in the store"));
  r.release = *release;
  if (const auto good = check_live(world, r.release); !good)
    return refuse(world, site, good.error());
  if (is_gone(world, r.release) && !world.vault.unsealed()) {
    TRY(set_sealed_flag(world, site, true));
    return BroughtUp{
        .release = release->id, .waiting = {"the release itself, which is in memory only"}};
  }
  TRY(make_again(r));
  TRY(load_release(r));
  TRY(stage_current_set(world, site));
  BroughtUp result{.release = release->id, .waiting = missing_secrets(world, r.site)};
  std::vector<std::string> skip;
  for (const auto& file : result.waiting)
    skip.emplace_back(split(file, '/')[0]);
  TRY(assign_ports(world, r.row, r.services, r.release.slot));
  TRY(mend_links(r));
  if (!result.waiting.empty())
    TRY(set_sealed_flag(world, site, true));
  TRY(stop_second_copies(world, r.site, r.release));
  TRY(start_slots(world, r.site, r.services, r.release, r.user, skip));
  TRY(mend_nginx(r));
  if (!keep_other_slot)
    TRY(stop_slots(world, site, other_slot(r.release.slot)));
  if (!result.waiting.empty())
    return result;
  signals.let_go();
  for (const auto& p : r.services)
    TRY_IN(cat("service '", p.service.name.str(), "'"),
        wait_for_probe(world, signals, r.site, p, r.release.slot));
  TRY(set_sealed_flag(world, site, false));
  return result;
}

} // namespace chillbox::rollout
