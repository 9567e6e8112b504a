#include "rollout/bring_up.hpp"
#include "rollout/data_exchange.hpp"
#include "rollout/health.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "rollout/job_context.hpp"
#include "rollout/manifest.hpp"
#include "rollout/ports.hpp"
#include "rollout/secret_set.hpp"
#include "rollout/slots.hpp"
#include "rollout/stop_first.hpp"
#include "rollout/switch_traffic.hpp"
#include "rollout/tmpfs_release.hpp"
#include "rollout/trust.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

// The links as the store has them, written only where they differ: a restart of the daemon costs no
// sync.
Result<void> mend_links(JobContext& r) {
  const auto current = TRY(r.host.disk.read_link(r.host.paths.current(r.job.site)));
  bool right = current == "releases/" + r.release.row.id &&
      r.host.disk.exists(r.host.paths.live(r.job.site));    // its folder says: up since the boot
  if (current && current != "releases/" + r.release.row.id) // faults 121: never silently
    log::warn(cat("site '", r.job.site.str(), "': current pointed to '", printable(*current),
        "', the store says ", r.release.row.id, ": it is corrected"));
  for (const auto& p : r.release.services)
    if (p.kind.listens == ServiceKind::Listens::on_socket) {
      const auto link =
          TRY(r.host.disk.read_link(r.host.paths.live_socket(r.job.site, p.service.name.str())));
      right = right && link == slot_socket(r.host, r.release, p);
    }
  right = right && ports_are_pointed(r.host, r.release);
  return right ? Result<void>{} : point_links(r.host, r.release);
}

// The text that an older chillbox made has no place for a certificate: it is made again, once, if
// NGINX takes it.
Result<void> renew_text(JobContext& r) {
  auto& row = r.release.row;
  if (row.nginx.empty() || nginx::takes_certificate(row.nginx))
    return {};
  const auto text = render(r.host, r.release);
  if (!text || !nginx::takes_certificate(*text))
    return {}; // it says itself where it listens
  if (const auto good = r.host.nginx.test(r.job.site, *text); !good) {
    log::warn(cat("site '", r.job.site.str(),
        "': no certificate before its next deploy: ", good.error().message));
    return {};
  }
  row.nginx = *text;
  TRY(r.host.store.put_release(row));
  return write_manifest(r.host, r.job.site);
}

Result<void> mend_nginx(JobContext& r) {
  TRY(r.host.nginx.guard_logs(r.job.site));
  TRY(renew_text(r));
  if (r.release.row.nginx.empty() || TRY(r.host.nginx.installed(r.job.site)) == r.release.row.nginx)
    return {};
  TRY(r.host.nginx.install(r.job.site, r.release.row.nginx));
  return r.host.nginx.reload();
}

} // namespace

namespace {

// What must not be started again. Since the boot it was up already: it continues as it is. Else
// visitors get the page of a sealed host, and no file of it either.
Result<BroughtUp> refuse(HostContext& host, const SiteName& site, Error why) {
  if (!host.disk.exists(host.paths.live(site))) {
    TRY(set_sealed_flag(host, site, true));
    TRY(stop_slots(host, site, Slot::none));
    TRY(host.disk.remove(host.paths.current(site)));
  }
  return std::unexpected(std::move(why));
}

// All but what waits for secrets; if nothing does, until each service answers.
Result<void> start_live(
    JobContext& r, const std::vector<std::string>& waiting, bool keep_other_slot) {
  TRY(stop_second_copies(r.host, r.release));
  TRY(start_slots(r.host, r.release, services_of(r.release.site, waiting)));
  TRY(mend_nginx(r));
  if (!keep_other_slot)
    TRY(stop_slots(r.host, r.job.site, other_slot(r.release.row.slot)));
  if (!waiting.empty())
    return {};
  r.control.turn().let_go();
  for (const auto& p : r.release.services)
    TRY_IN(cat("service '", p.service.name.str(), "'"),
        wait_for_probe(r.host, r.control, r.release, p));
  return {};
}

} // namespace

Result<BroughtUp> bring_up(HostContext& host, const SiteName& site, bool keep_other_slot) {
  JobControl control;
  return bring_up(host, site, keep_other_slot, control);
}

Result<BroughtUp> bring_up(
    HostContext& host, const SiteName& site, bool keep_other_slot, JobControl& control) {
  TRY(settle_exchange(host, site)); // nothing starts with data that are not its own
  const auto row = TRY(host.store.site(site));
  if (!row || row->live.empty() || row->stopped) {
    if (!keep_other_slot)
      TRY(stop_slots(host, site, Slot::none));
    return BroughtUp{};
  }
  JobContext r(host,
      store::Job{.id = cat("start-", site.str()), .kind = store::JobKind::start, .site = site},
      control);
  r.row = *row;
  const auto release = TRY(live_row(host, *row));
  if (!release)
    return fail(Code::corrupt,
        cat("site '", site.str(), "': live release ", row->live, " is not in the store"));
  r.release.row = *release;
  if (const auto good = check_live(host, r.release.row); !good)
    return refuse(host, site, good.error());
  if (needs_rebuild(host, r.release.row) && !host.vault.unsealed()) {
    TRY(set_sealed_flag(host, site, true));
    return BroughtUp{.release = release->id,
        .started = false,
        .waiting = {"the release itself, which is in memory only"}};
  }
  const bool was_away = needs_rebuild(host, r.release.row);
  TRY(rebuild_release(r));
  r.release = TRY(load(host, r.release.row));
  if (const auto loaded = load_current_set(host, site); !loaded && uses_secrets(r.release.site))
    return std::unexpected(loaded.error());
  else if (!loaded) // it needs none of it
    log::warn(cat("site '", site.str(), "': ", loaded.error().message));
  BroughtUp result{
      .release = release->id, .started = false, .waiting = missing_secrets(host, r.release.site)};
  TRY(assign_ports(host, r.row, r.release));
  TRY(mend_links(r));
  if (!result.waiting.empty())
    TRY(set_sealed_flag(host, site, true));
  result.started = was_away || std::ranges::any_of(r.release.services, [&](const auto& p) {
    return !p.files_only() && host.slots.release_in(slot_name(r.release, p)) != release->id;
  });
  const auto up = start_live(r, result.waiting, keep_other_slot);
  if (result.waiting.empty()) // also of a service that is slow, or fails: it is not locked any more
    TRY(set_sealed_flag(host, site, false));
  TRY(up);
  return result;
}

} // namespace chillbox::rollout
