#include "daemon/site_status.hpp"

#include "base/guarded.hpp"
#include "base/text.hpp"
#include "rollout/health.hpp"
#include "rollout/ports.hpp"
#include "rollout/redis.hpp"
#include "rollout/secret_set.hpp"
#include "rollout/trust.hpp"

#include <algorithm>
#include <deque>
#include <future>

namespace chillbox::daemon {
namespace {

// Sites that are looked at side by side, each by a thread: one that hangs costs its time-out only.
constexpr size_t k_at_once = 8;

using control::ServiceState;
using control::SiteState;

ServiceState state_of(openrc::SlotState state) {
  switch (state) {
  case openrc::SlotState::starting: return ServiceState::starting;
  case openrc::SlotState::started: return ServiceState::started;
  case openrc::SlotState::crashed: return ServiceState::crashed;
  case openrc::SlotState::stopped: break;
  }
  return ServiceState::stopped;
}

struct Seen {
  ServiceState state = ServiceState::files;
  uint32_t restarts = 0;
  std::string trouble; // what is wrong and what to do
};

// Of all copies of one service.
Seen look_at(rollout::HostContext& host, const rollout::LoadedRelease& release,
    const store::SiteRow& row, const rollout::PlannedService& p) {
  Seen seen;
  if (p.files_only())
    return seen;
  const std::string who = cat("service '", p.service.name.str(), "'");
  const auto first = rollout::slot_name(release, p);
  seen.state = state_of(host.slots.state(first).value_or(openrc::SlotState::stopped));
  for (const uint32_t index : p.indexes()) {
    const auto name = rollout::slot_name(release, p, index);
    seen.restarts += host.slots.respawns(name);
    const auto next = host.slots.crash_loop(name);
    if (!next || seen.state != ServiceState::started)
      continue;
    seen.state = ServiceState::crashing;
    seen.trouble = cat(who, " keeps crashing, ",
        next->count() > 0 ? cat("its next start is in ", (next->count() + 999) / 1000, " s")
                          : "it was just started again",
        ": see `chillboxctl logs ", row.site.str(), "/", p.service.name.str(), "`");
  }
  const auto port = rollout::port_of(row, p.service.name, release.row.slot);
  if (const auto stranger =
          port && !row.stopped ? rollout::stranger_at(host, *port, first) : std::nullopt) {
    seen.state = ServiceState::displaced;
    seen.trouble = cat(who, ": on its port ", *port, " listens ", os::describe(*stranger),
        ", which is none of its processes: end that one");
  }
  return seen;
}

// A live release whose services can be looked at: they, Redis, and what it waits for.
void add_services(rollout::HostContext& host, const store::SiteRow& row,
    const rollout::LoadedRelease& release, control::SiteStatus& status) {
  const Slot slot = release.row.slot;
  const auto missing =
      row.stopped ? std::vector<std::string>{} : rollout::missing_secrets(host, release.site);
  for (const auto& p : release.services) {
    const auto seen = look_at(host, release, row, p);
    if (seen.state != ServiceState::started && seen.state != ServiceState::files &&
        missing.empty() && !row.stopped)
      status.state = SiteState::degraded;
    if (!seen.trouble.empty())
      status.waiting = seen.trouble;
    status.services.push_back(
        {p.service.name.str(), p.service.lang, slot, seen.state, seen.restarts});
  }
  if (release.site.has_redis) {
    const auto state =
        host.slots.state(rollout::redis_slot(row.site)).value_or(openrc::SlotState::stopped);
    if (state != openrc::SlotState::started && !row.stopped)
      status.state = SiteState::degraded;
    status.services.push_back({"redis", "redis", Slot::none, state_of(state), std::nullopt});
  }
  if (!status.distrust->empty())
    status.waiting = cat("runs until it is replaced or the host is rebooted: ", *status.distrust);
  if (status.maintenance)
    status.waiting = cat("visitors get the maintenance page: `chillboxctl maintenance off ",
        row.site.str(), "` ends that");
  if (!missing.empty()) {
    status.state = SiteState::sealed;
    status.waiting =
        cat("waits for ", join(missing, ", "), ": ", rollout::secrets_remedy(host, row.site));
  }
}

// What the store and OpenRC say; the live release, if it can be read.
Result<std::optional<rollout::LoadedRelease>> look_at_site(
    rollout::HostContext& host, const store::SiteRow& row, control::SiteStatus& status) {
  if (auto hold = TRY(host.store.hold(row.site)))
    status.hold = std::move(*hold);
  status.maintenance = host.disk.exists(nginx::maintenance_flag(host.paths, row.site));
  if (row.live.empty())
    return std::nullopt;
  status.state = row.stopped ? SiteState::stopped : SiteState::live;
  const auto release = TRY(host.store.release(row.site, row.live));
  if (!release)
    return std::nullopt;
  status.version = release->version;
  status.live_ms = release->live_ms;
  if (release->message.starts_with(rollout::k_warning))
    status.warning = release->message.substr(rollout::k_warning.size());
  const auto good = rollout::check_live(host, *release);
  status.distrust = good ? "" : good.error().message;
  if (!good && !row.stopped && !host.disk.exists(host.paths.live(row.site))) {
    status.state = SiteState::refused;
    status.waiting = good.error().message;
    return std::nullopt;
  }
  // Somebody moved the link by hand: shown, and put right by the next job, never in silence (faults
  // 121).
  if (const auto link = host.disk.read_link(host.paths.current(row.site));
      !link || *link != "releases/" + row.live) {
    status.state = SiteState::degraded;
    status.waiting = cat("`current` points to '",
        link && *link ? printable(**link, 100) : "nothing", "', the live release is ", row.live,
        ": `chillboxctl restart ", row.site.str(), "` puts it right");
  }
  auto loaded = rollout::load(host, *release);
  if (!loaded) {
    status.state = loaded.error().code == Code::sealed ? SiteState::sealed : SiteState::degraded;
    status.waiting = loaded.error().message;
    return std::nullopt;
  }
  for (auto& p : loaded->services)
    p.port = rollout::port_of(row, p.service.name, release->slot).value_or(0);
  add_services(host, row, *loaded, status);
  return std::move(*loaded);
}

// Of a live release that should be served: what its visitors get, by a request to NGINX for each of
// its names and to each service.
std::string trouble_of_visitors(rollout::HostContext& host, const rollout::LoadedRelease& release) {
  if (!host.paths.testing()) // this machine's NGINX is not the test's
    if (const auto asked = host.nginx.ask_by_name(release.row.site, release.row.nginx); !asked)
      return asked.error().message;
  for (const auto& p : release.services)
    if (auto trouble = rollout::visitors_trouble(host, release, p); !trouble.empty())
      return trouble;
  return {};
}

// The operator's wish is no trouble: a site that is stopped, or whose visitors get the maintenance
// page.
std::string down_of(rollout::HostContext& host,
    const std::optional<rollout::LoadedRelease>& release, const control::SiteStatus& status) {
  switch (status.state) {
  case SiteState::none:
  case SiteState::stopped:
  case SiteState::unknown: return {};
  case SiteState::refused:
  case SiteState::sealed: return status.waiting;
  case SiteState::live:
  case SiteState::degraded: break;
  }
  if (status.maintenance)
    return {};
  if (!release)
    return status.waiting;
  for (const auto& service : status.services)
    if (service.state == ServiceState::displaced)
      return status.waiting;
  std::string trouble = trouble_of_visitors(host, *release);
  return trouble.empty() || status.waiting.empty() ? std::move(trouble)
                                                   : cat(trouble, "; ", status.waiting);
}

Result<control::SiteStatus> status_of(rollout::HostContext& host, const store::SiteRow& row) {
  control::SiteStatus status{
      .site = row.site.str(), .release = row.live, .previous_good = row.previous_good};
  const auto release = TRY(look_at_site(host, row, status));
  status.down = down_of(host, release, status);
  return status;
}

} // namespace

Result<std::vector<control::SiteStatus>> all_sites(rollout::HostContext& host) {
  std::deque<std::future<Result<control::SiteStatus>>> looks;
  std::vector<control::SiteStatus> all;
  const auto take = [&]() -> Result<void> {
    all.push_back(TRY(looks.front().get()));
    looks.pop_front();
    return {};
  };
  for (const auto& row : TRY(host.store.sites())) {
    if (looks.size() == k_at_once)
      TRY(take());
    looks.push_back(std::async(std::launch::async,
        [&host, row] { return guarded("status", [&] { return status_of(host, row); }); }));
  }
  while (!looks.empty())
    TRY(take());
  return all;
}

} // namespace chillbox::daemon
