// Verbs that only show.
#include "artifact/stager.hpp"
#include "base/text.hpp"
#include "daemon/control_verbs.hpp"
#include "daemon/site_status.hpp"
#include "os/probe.hpp"
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

template <class T> Result<void> send_event(const Call& call, const T& event) {
  return control::write_frame(call.fd(), control::event_text(control::to_json(event)));
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

Result<control::Status> status(const Call& call) {
  auto& state = call.state;
  auto& host = call.host();
  control::Status status;
  status.sites = TRY(sites_seen(call));
  status.certificates = TRY(state.monitor.certificates.all());
  std::erase_if(status.certificates, [&](const auto& one) {
    return one.site != control::k_host_certificate && !may_see(call, one.site);
  });
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
  h.refused_webhooks = count(state.monitor.refused_webhooks);
  h.refused_uploads = count(state.monitor.refused_uploads);
  const std::lock_guard lock(state.mutex);
  if (!call.person || call.person->sites.empty()) // they may name any site
    h.warnings = state.warnings;
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

Result<control::JobList> jobs(const Call& call) {
  control::JobList list;
  const auto site = call.args.site.value_or("");
  if (!site.empty() || !call.person || call.person->sites.empty()) {
    list.jobs = TRY(call.host().store.jobs(site, limit_of(call)));
    return list;
  }
  for (const auto& one : call.person->sites)
    for (auto& job : TRY(call.host().store.jobs(one, limit_of(call))))
      list.jobs.push_back(std::move(job));
  std::ranges::stable_sort(list.jobs, std::greater<>(), &control::Job::created_ms);
  if (list.jobs.size() > limit_of(call))
    list.jobs.resize(limit_of(call), list.jobs.front());
  return list;
}

Result<control::JobAnswer> job(const Call& call) {
  return follow(call, TRY(required(call.args.job, "job")), call.args.follow.value_or(false), false);
}

struct LogFile {
  std::string service, path;
  uint64_t offset = 0; // what was shown
};

// Of the services, and as "nginx", which no service is called, what NGINX says went wrong.
std::vector<LogFile> log_files(
    rollout::HostContext& host, const SiteName& site, std::string_view only) {
  std::vector<LogFile> files;
  const auto add = [&](const std::string& dir, std::string_view end, std::string_view service) {
    for (const auto& file : host.disk.list(dir).value_or(std::vector<std::string>{}))
      if (file.ends_with(end) &&
          (only.empty() || (service.empty() ? file == cat(only, end) : service == only)))
        files.push_back(
            {service.empty() ? file.substr(0, file.size() - end.size()) : std::string(service),
                cat(dir, "/", file)});
  };
  add(host.paths.logs_of(site), ".log", "");
  add(nginx::log_dir(host.paths, site), "error.log", "nginx");
  return files;
}

Result<control::Log> logs(const Call& call) {
  constexpr size_t k_tail = 256 * 1024;
  constexpr os::Millis k_pause{300}; // between two looks at a file that another process writes
  auto& host = call.host();
  const auto site = TRY(site_of(call));
  const std::string only = call.args.service.value_or("");
  const size_t lines = std::clamp<size_t>(call.args.lines.value_or(20), 0, 10'000);
  auto files = log_files(host, site, only);
  if (files.empty())
    return fail(Code::not_found,
        cat("no log of '", site.str(), only.empty() ? "" : "/", printable(only, 40), "'"));
  for (bool first = true;; first = false) {
    for (auto& [service, path, offset] : files) {
      const uint64_t size = host.disk.size(path);
      if (size < offset)
        offset = 0; // rotated
      const auto text = TRY(host.disk.tail(path, offset, k_tail));
      const auto end = text.rfind('\n');
      if (end == std::string::npos)
        continue;
      auto rows = split(std::string_view(text).substr(0, end), '\n');
      if (first && rows.size() > lines)
        rows.erase(rows.begin(), rows.end() - static_cast<std::ptrdiff_t>(lines));
      for (auto row : rows)
        TRY(send_event(call, control::LogLine{service, printable(row, 4000)}));
      offset = (text.size() < k_tail ? offset : size - text.size()) + end + 1;
    }
    if (!call.args.follow.value_or(false) || call.state.stopping)
      return control::Log{};
    TRY(may_wait(call, ""));
    host.clock.sleep(k_pause);
  }
}

Result<control::AuditTrail> audit(const Call& call) {
  control::AuditTrail trail;
  trail.entries = TRY(call.host().store.audit_entries(limit_of(call)));
  return trail;
}

Result<control::AuditProof> audit_verify(const Call& call) {
  using Look = store::Store::AuditLook;
  const auto head = TRY(call.host().store.verify_audit(
      call.args.head.value_or(""), call.args.newer.value_or(false) ? Look::newer : Look::whole));
  return control::AuditProof{.entries = head.entries, .head = head.text()};
}

constexpr ControlVerb k_verbs[] = {
    {"ping", answer<ping>, false, Role::look, Reach::filtered},
    {"status", answer<status>, false, Role::look, Reach::filtered},
    {"sites", answer<sites>, false, Role::look, Reach::filtered},
    {"releases", answer<releases>, false, Role::look},
    {"jobs", answer<jobs>, false, Role::look, Reach::filtered},
    {"job", answer<job>, false, Role::look},
    {"logs", answer<logs>, false, Role::look},
    {"audit", answer<audit>, false, Role::admin, Reach::filtered},
    {"audit_verify", answer<audit_verify>},
};

} // namespace

std::span<const ControlVerb> query_verbs() {
  return k_verbs;
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
      TRY(send_event(call, event));
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
