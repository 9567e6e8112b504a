#include "daemon/site_status.hpp"

#include "base/text.hpp"
#include "rollout/health.hpp"
#include "rollout/ports.hpp"
#include "rollout/redis.hpp"
#include "rollout/secret_set.hpp"
#include "rollout/service_state.hpp"
#include "rollout/trust.hpp"

#include <algorithm>
#include <deque>
#include <future>
#include <iterator>
#include <span>

namespace chillbox::daemon {
namespace {

using control::ServiceState;
using control::SiteState;

// A live release whose services can be looked at: they, Redis, and what it waits for.
void add_services(rollout::HostContext& host, const store::SiteRow& row,
    const rollout::LoadedRelease& release, rollout::KnownReleases::Seen& once,
    control::SiteStatus& status) {
  const Slot slot = release.row.slot;
  const auto missing =
      row.stopped ? std::vector<std::string>{} : rollout::missing_secrets(host, release.site);
  for (const auto& p : release.services) {
    const auto seen = rollout::look_at_service(host, release, row, p, once);
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
    status.services.push_back(
        {"redis", "redis", Slot::none, rollout::service_state(state), std::nullopt});
  }
  if (!status.distrust->empty())
    status.waiting = cat(row.stopped ? "is stopped, and is not started again: "
                                     : "runs until it is replaced or the host is rebooted: ",
        *status.distrust);
  if (status.drained)
    status.waiting = cat("drained: load balancers send visitors elsewhere; "
                         "`chillboxctl undrain ",
        row.site.str(), "` ends that");
  if (status.maintenance)
    status.waiting = cat("visitors get the maintenance page: `chillboxctl maintenance off ",
        row.site.str(), "` ends that");
  if (!missing.empty()) {
    status.state = SiteState::sealed;
    status.waiting =
        cat("waits for ", join(missing, ", "), ": ", rollout::secrets_remedy(host, row.site));
  }
}

using Loaded = std::shared_ptr<const rollout::LoadedRelease>; // nullptr: none that can be read

// What all sites share.
struct Shared {
  Shared(rollout::KnownReleases& k, rollout::Trust t) : known(k), trust(std::move(t)) {}
  rollout::KnownReleases& known;
  rollout::KnownReleases::Seen seen;
  rollout::Trust trust;
  std::map<std::string, store::Hold> holds;
};

Result<Shared> shared_by_sites(rollout::HostContext& host, rollout::KnownReleases& known) {
  Shared shared(known, TRY(rollout::Trust::read(host)));
  for (auto& hold : TRY(host.store.holds()))
    shared.holds.emplace(hold.site.str(), std::move(hold));
  return shared;
}

// What the store and OpenRC say; the live release.
Result<Loaded> look_at_site(rollout::HostContext& host, Shared& shared, const store::SiteRow& row,
    control::SiteStatus& status) {
  if (const auto hold = shared.holds.find(row.site.str()); hold != shared.holds.end())
    status.hold = hold->second;
  status.maintenance = host.disk.exists(nginx::maintenance_flag(host.paths, row.site));
  status.drained = host.disk.exists(nginx::drain_flag(host.paths, row.site));
  if (row.live.empty())
    return nullptr;
  status.state = row.stopped ? SiteState::stopped : SiteState::live;
  const auto release = TRY(shared.known.live_row(host, row));
  if (!release)
    return nullptr;
  status.version = release->version;
  status.live_ms = release->live_ms;
  if (release->message.starts_with(rollout::k_warning))
    status.warning = release->message.substr(rollout::k_warning.size());
  const auto good = shared.trust.check_live(*release);
  status.distrust = good ? "" : good.error().message;
  if (!good && !row.stopped && !host.disk.exists(host.paths.live(row.site))) {
    status.state = SiteState::refused;
    status.waiting = good.error().message;
    return nullptr;
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
  const auto loaded = shared.known.load(host, row, shared.seen);
  if (!loaded) {
    status.state = loaded.error().code == Code::sealed ? SiteState::sealed : SiteState::degraded;
    status.waiting = loaded.error().message;
    return nullptr;
  }
  add_services(host, row, **loaded, shared.seen, status);
  for (const auto& name : (*loaded)->unserved) // the release's own words may say it, too
    if (const auto text = rollout::unserved_text(name);
        status.warning.find(text) == std::string::npos)
      status.warning += cat(status.warning.empty() ? "" : "; ", text);
  return *loaded;
}

// A site as far as it can be seen without waiting for anybody, and what is to be asked of NGINX, by
// each of its names, and of each of its services.
struct Look {
  control::SiteStatus status;
  Loaded release;                // it should be served: its visitors are asked for
  size_t first = 0, by_name = 0; // of all questions; how many go to NGINX
  std::vector<size_t> of_service;
};

// The operator's wish is no trouble: a site that is stopped, or whose visitors get the maintenance
// page.
bool is_asked_for(const control::SiteStatus& status) {
  return (status.state == SiteState::live || status.state == SiteState::degraded) &&
      !status.maintenance && std::ranges::none_of(status.services, [](const auto& service) {
        return service.state == ServiceState::displaced;
      });
}

std::string down_unasked(const control::SiteStatus& status) {
  switch (status.state) {
  case SiteState::none:
  case SiteState::stopped:
  case SiteState::unknown: return {};
  case SiteState::refused:
  case SiteState::sealed: return status.waiting;
  case SiteState::live:
  case SiteState::degraded: break;
  }
  return status.maintenance ? std::string() : status.waiting;
}

Result<Look> look_at(rollout::HostContext& host, Shared& shared, const store::SiteRow& row,
    std::vector<os::Probe>& questions) {
  Look look{
      .status = {.site = row.site.str(), .release = row.live, .previous_good = row.previous_good}};
  auto release = TRY(look_at_site(host, shared, row, look.status));
  if (!release || !is_asked_for(look.status)) {
    look.status.down = down_unasked(look.status);
    return look;
  }
  const auto ask = [&](std::vector<os::Probe> more) {
    std::ranges::move(more, std::back_inserter(questions));
    return more.size();
  };
  look.first = questions.size();
  if (!host.paths.testing()) // this machine's NGINX is not the test's
    look.by_name = ask(nginx::questions_by_name(*release->text));
  for (const auto& p : release->services)
    look.of_service.push_back(ask(rollout::visitors_questions(host, *release, p)));
  look.release = std::move(release);
  return look;
}

// Of a live release that should be served: what its visitors get.
std::string trouble_of_visitors(rollout::HostContext& host, const Look& look,
    std::span<const Result<os::ProbeAnswer>> answers) {
  const auto& release = *look.release;
  answers = answers.subspan(look.first);
  if (const auto named =
          host.nginx.check_by_name(release.row.site, *release.text, answers.first(look.by_name));
      !named)
    return named.error().message;
  answers = answers.subspan(look.by_name);
  for (size_t i = 0; i < release.services.size(); ++i) {
    auto trouble =
        rollout::visitors_trouble(release.services[i], answers.first(look.of_service[i]));
    if (!trouble.empty())
      return trouble;
    answers = answers.subspan(look.of_service[i]);
  }
  return {};
}

constexpr size_t k_group = 25;

// Sites whose questions are asked while the next ones are looked at. An abandoned one waits for its
// answers.
struct Group {
  std::vector<Look> looks;
  std::vector<os::Probe> questions;
  std::future<std::vector<Result<os::ProbeAnswer>>> answers;
  void ask() { // without a thread when there is none to have
    answers = std::async(
        std::launch::async | std::launch::deferred, [this] { return os::probe_all(questions); });
  }
};

} // namespace

Result<std::vector<control::SiteStatus>> all_sites(
    rollout::HostContext& host, rollout::KnownReleases& known) {
  const auto rows = TRY(host.store.sites());
  known.keep_only(rows);
  Shared shared = TRY(shared_by_sites(host, known));
  std::deque<Group> groups; // they stay where they are: threads ask what is in them
  for (const auto& row : rows) {
    if (groups.empty() || groups.back().looks.size() == k_group) {
      if (!groups.empty())
        groups.back().ask();
      groups.emplace_back();
    }
    Group& group = groups.back();
    group.looks.push_back(TRY(look_at(host, shared, row, group.questions)));
  }
  if (!groups.empty())
    groups.back().ask();
  std::vector<control::SiteStatus> all;
  for (auto& group : groups) {
    const auto answers = group.answers.get();
    for (auto& look : group.looks) {
      auto& status = look.status;
      if (look.release) {
        std::string trouble = trouble_of_visitors(host, look, answers);
        status.down = trouble.empty() || status.waiting.empty()
            ? std::move(trouble)
            : cat(trouble, "; ", status.waiting);
      }
      all.push_back(std::move(status));
    }
  }
  return all;
}

} // namespace chillbox::daemon
