// Verbs that only show.
#include "artifact/stager.hpp"
#include "base/text.hpp"
#include "control/full_status.hpp"
#include "daemon/control_verbs.hpp"
#include "daemon/site_status.hpp"
#include "os/probe.hpp"
#include "rollout/data_exchange.hpp"
#include "rollout/facts.hpp"
#include "rollout/roster.hpp"
#include "rollout/snapshots.hpp"
#include "rollout/trust.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace chillbox::daemon {

using control::Role;

namespace {

// Why no visitor of any site is served; "" : NGINX answers.
std::string nginx_trouble(const rollout::HostContext& host) {
  if (host.paths.testing())
    return ""; // this machine's NGINX is not the test's
  const auto& config = host.config;
  const auto answer = os::probe({.port = config.http_port,
      .path = "/healthcheck/",
      .host = config.server_name,
      .timeout = os::Millis{2'000}});
  return answer
      ? ""
      : cat("NGINX does not answer on port ", config.http_port,
            ": no site is served: ", answer.error().message, ": `rc-service nginx start`");
}

// Of a balancer.
std::vector<std::string> fleet_warnings(
    const rollout::HostContext& host, const control::Status& status) {
  auto warnings = host.nginx.not_balanced();
  if (host.nginx.fleet().balances() && !status.sites.empty())
    warnings.push_back("fleet: this balancer has sites of its own, and the fleet's other hosts "
                       "believe what these say of a visitor");
  return warnings;
}

// As `doctor` has it.
std::vector<std::string> disk_warnings(const rollout::HostContext& host) {
  std::vector<std::string> warnings;
  for (const auto& disk : rollout::disks_of(host))
    if (const auto text = os::shortage_of(disk, host.config.reserve_percent); !text.empty())
      warnings.push_back(cat("disk: ", text, ": `chillboxctl prune`"));
  return warnings;
}

Result<control::Ping> ping(const Call& call) {
  control::Ping ping{
      .version = CHILLBOX_VERSION, .sealed = !call.host().vault.unsealed(), .pid = ::getpid()};
  const std::lock_guard lock(call.state.mutex);
  if (!call.state.not_upgraded.empty())
    ping.not_upgraded = call.state.not_upgraded;
  return ping;
}

Result<std::vector<control::SiteStatus>> sites_seen(const Call& call) {
  auto sites = TRY(all_sites(call.host(), call.state.known));
  std::erase_if(sites, [&](const auto& site) { return !may_see(call, site.site); });
  return sites;
}

Result<control::SiteList> sites(const Call& call) {
  control::SiteList list;
  list.sites = TRY(sites_seen(call));
  return list;
}

Result<control::FullStatus> status(const Call& call) {
  auto& state = call.state;
  auto& host = call.host();
  control::FullStatus status;
  status.sites = TRY(sites_seen(call));
  status.certificates = TRY(state.monitor.certificates.all());
  std::erase_if(status.certificates, [&](const auto& one) {
    return one.site != control::k_host_certificate && !may_see(call, one.site);
  });
  if (state.monitor.backups.states)
    status.backups = TRY(state.monitor.backups.states());
  std::erase_if(status.backups,
      [&](const auto& one) { return one.next_ms == 0 || !may_see(call, one.site.str()); });
  const auto unfinished = TRY(host.store.unfinished());
  const auto attempts = TRY(host.store.attempts(call.visit.uid));
  const auto entries = TRY(host.store.audit_entries(1));
  const auto count = [](const auto& counter) { return counter ? counter() : 0; };
  auto& h = status.host;
  h.version = CHILLBOX_VERSION;
  h.sealed = !host.vault.unsealed();
  h.drained = host.disk.exists(nginx::drain_flag(host.paths));
  h.recipient = trim(host.disk.read(host.paths.recipient(), 256).value_or(""));
  h.server_name = host.config.server_name;
  h.uptime_s = static_cast<uint64_t>((host.clock.mono() - state.started).count()) / 1000;
  h.running = state.engine.running();
  h.waiting_unlock = static_cast<uint64_t>(
      std::ranges::count(unfinished, store::JobState::waiting_unlock, &store::Job::state));
  h.unlock_failures = TRY(host.store.unlock_failures());
  h.unlock_wait_s = static_cast<uint64_t>(unlock_wait_ms(host, attempts) + 999) / 1000;
  h.newest_ms = entries.empty() ? 0 : entries[0].time_ms; // a clock that shows less was set back
  h.nginx = nginx_trouble(host);
  h.fleet = rollout::seat_of(host);
  if (host.fleet != nullptr)
    h.engine = host.fleet->status();
  h.refused_webhooks = count(state.monitor.refused_webhooks);
  h.refused_uploads = count(state.monitor.refused_uploads);
  const std::lock_guard lock(state.mutex);
  if (!call.person || call.person->sites.empty()) // they may name any site
  {
    h.warnings = fleet_warnings(host, status);
    std::ranges::move(disk_warnings(host), std::back_inserter(h.warnings));
    std::ranges::copy(state.warnings, std::back_inserter(h.warnings));
  }
  return status;
}

Result<control::ReleaseList> releases(const Call& call) {
  constexpr size_t k_releases = 100, k_most_releases = 10'000;
  auto& host = call.host();
  const auto site = TRY(site_of(call));
  const auto row = TRY(host.store.site(site));
  const auto releases = TRY(host.store.newest_releases(site, row ? row->live : "",
      std::min<size_t>(call.args.limit.value_or(k_releases), k_most_releases)));
  const auto serial = TRY(host.store.serial(site, "site"));
  const auto secrets = TRY(host.store.serial(site, "secrets"));
  if (!row && releases.empty() && serial + secrets == 0)
    return fail(Code::not_found, cat("no site '", site.str(), "' on this host"));
  control::ReleaseList list{.site = site.str(), .live = row ? row->live : "", .releases = {}};
  list.serial = serial; // also of a site that was removed: they outlive it
  list.secrets_serial = secrets;
  for (const auto& release : releases) {
    const auto good = rollout::check_release(host, release);
    list.releases.push_back(
        {release, release.id == list.live, !rollout::check_withdrawn(host, site, release.sha256, 0),
            good ? "" : good.error().message});
  }
  return list;
}

Result<control::SnapshotList> snapshots(const Call& call) {
  const auto site = TRY(site_of(call));
  (void)TRY(known_site(call, site));
  return control::SnapshotList{
      .site = site.str(), .snapshots = TRY(rollout::snapshots_of(call.host(), site))};
}

Result<control::DataLoss> data_loss(const Call& call) {
  return rollout::data_loss(call.host(), TRY(site_of(call)), call.args.version.value_or(""));
}

Result<control::JobList> jobs(const Call& call) {
  auto& store = call.host().store;
  const auto site = call.args.site.value_or("");
  const auto of = [&](const std::string& one) {
    return store.jobs(one, limit_of(call), period_of(call));
  };
  control::JobList list;
  if (!site.empty() || !call.person || call.person->sites.empty()) {
    list.jobs = TRY(of(site));
    if (list.jobs.empty() && !site.empty() && TRY(store.jobs(site, 1, control::Period{})).empty())
      (void)TRY(known_site(call, TRY(site_of(call)))); // jobs outlive their site
    return list;
  }
  for (const auto& one : call.person->sites)
    for (auto& job : TRY(of(one)))
      list.jobs.push_back(std::move(job));
  std::ranges::stable_sort(list.jobs, std::greater<>(), &control::Job::created_ms);
  if (list.jobs.size() > limit_of(call))
    list.jobs.resize(limit_of(call), list.jobs.front());
  return list;
}

Result<control::JobAnswer> job(const Call& call) {
  return follow(call, TRY(required(call.args.job, "job")), call.args.follow.value_or(false), false);
}

Result<control::AuditTrail> audit(const Call& call) {
  return control::AuditTrail{
      .entries = TRY(call.host().store.audit_entries(limit_of(call), period_of(call)))};
}

Result<control::AuditProof> audit_verify(const Call& call) {
  using Look = store::Store::AuditLook;
  const auto head = TRY(call.host().store.verify_audit(
      call.args.head.value_or(""), call.args.newer.value_or(false) ? Look::newer : Look::whole));
  return control::AuditProof{.entries = head.entries, .head = head.text()};
}

constexpr ControlVerb k_query_verbs[] = {
    {"ping", answer<ping>, false, Role::look, Reach::filtered},
    {"status", answer<status>, false, Role::look, Reach::filtered},
    {"sites", answer<sites>, false, Role::look, Reach::filtered},
    {"releases", answer<releases>, false, Role::look},
    {"snapshots", answer<snapshots>, false, Role::look},
    {"data_loss", answer<data_loss>, false, Role::deploy},
    {"jobs", answer<jobs>, false, Role::look, Reach::filtered},
    {"job", answer<job>, false, Role::look},
    {"audit", answer<audit>, false, Role::admin, Reach::filtered},
    {"audit_verify", answer<audit_verify>},
};

} // namespace

std::span<const ControlVerb> query_verbs() {
  return k_query_verbs;
}

Result<control::JobAnswer> follow(
    const Call& call, const std::string& id, bool to_the_end, bool as_error) {
  // the change itself is an event; so late a caller who left is seen
  constexpr os::Millis k_look_again{2'000};
  uint64_t after = call.args.after.value_or(0);
  for (;;) {
    const uint64_t seen = call.state.changes.count();
    auto job = TRY(call.host().store.job(id));
    if (!job)
      return fail(Code::not_found, cat("no job '", printable(id, 40), "'"));
    const auto events = TRY(call.host().store.events(id, after));
    for (const auto& event : events) {
      TRY(send_event(call, control::to_json(event)));
      after = event.number;
    }
    if (!events.empty())
      continue;
    if (job->finished_ms != 0 && as_error && job->code)
      return fail(*job->code, job->message);
    if (job->finished_ms != 0 || !to_the_end)
      return control::JobAnswer{.job = std::move(*job), .events = std::nullopt};
    TRY(may_wait(call, cat("; job ", id, " continues")));
    call.state.changes.wait(seen, k_look_again);
  }
}

} // namespace chillbox::daemon
