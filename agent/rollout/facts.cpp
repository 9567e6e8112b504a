#include "rollout/facts.hpp"

#include "base/text.hpp"
#include "openrc/accept_queues.hpp"
#include "rollout/ports.hpp"
#include "rollout/redis.hpp"
#include "rollout/secret_set.hpp"
#include "rollout/service_state.hpp"
#include "store/notices.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

namespace chillbox::rollout {
namespace {

using control::ServiceState;
using control::SiteState;
using Queues = std::map<std::string, uint32_t>;

// The first number of a file of /proc, "0.31 0.20 0.11 1/123 4567".
std::optional<double> first_number(HostContext& host, std::string_view file) {
  const auto text = host.disk.read(cat(host.paths.root, file), 4096);
  double value = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), value).ec != std::errc())
    return std::nullopt;
  return value;
}

// "MemAvailable:   123456 kB"
std::optional<uint64_t> kilobytes(std::string_view text, std::string_view name) {
  for (const auto line : split(text, '\n')) {
    if (!line.starts_with(name))
      continue;
    const auto number = trim(line.substr(name.size()));
    if (const auto value = parse_u64(number.substr(0, number.find(' '))))
      return *value * 1024;
  }
  return std::nullopt;
}

} // namespace

std::vector<os::FileSystem> disks_of(const HostContext& host) {
  std::vector<os::FileSystem> disks;
  std::set<dev_t> seen;
  for (const auto& path : {host.paths.state(), host.paths.sites(), host.paths.logs()}) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0 || !seen.insert(info.st_dev).second)
      continue;
    if (const auto space = host.disk.space(path))
      disks.push_back({path, *space});
  }
  return disks;
}

namespace {

MachineFacts machine_of(HostContext& host) {
  MachineFacts m;
  m.load1 = first_number(host, "/proc/loadavg");
  if (const auto up = first_number(host, "/proc/uptime"))
    m.uptime_s = static_cast<uint64_t>(*up);
  const auto memory =
      host.disk.read(host.paths.root + "/proc/meminfo", 16 * 1024).value_or(std::string());
  m.memory_total = kilobytes(memory, "MemTotal:");
  m.memory_available = kilobytes(memory, "MemAvailable:");
  m.disks = disks_of(host);
  m.processors = static_cast<uint64_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  return m;
}

Result<AgentFacts> agent_of(HostContext& host, const FactSources& sources) {
  const auto count = [](const auto& counter) { return counter ? counter() : 0; };
  AgentFacts a;
  a.version = CHILLBOX_VERSION;
  a.sealed = !host.vault.unsealed();
  const auto status =
      host.disk.read(host.paths.root + "/proc/self/status", 16 * 1024).value_or(std::string());
  a.memory = kilobytes(status, "VmRSS:");
  a.unfinished = TRY(host.store.unfinished());
  a.jobs_running = count(sources.jobs_running);
  a.unlock_failures = TRY(host.store.unlock_failures());
  a.refused_webhooks = count(sources.refused_webhooks);
  a.refused_uploads = count(sources.refused_uploads);
  return a;
}

// What is known of all sites before one of them is looked at.
struct Shared {
  explicit Shared(KnownReleases& k) : known(k), queues(openrc::accept_queues()) {}
  KnownReleases& known;
  KnownReleases::Seen seen;
  Queues queues;
  std::map<std::string, store::Hold> holds;
  std::map<std::string, std::vector<store::Total>> totals;
};

ServiceFacts service_of(HostContext& host, const LoadedRelease& release, const store::SiteRow& row,
    const PlannedService& p, Shared& shared, std::string& trouble) {
  ServiceFacts f{.name = p.service.name.str(),
      .kind = p.service.lang,
      .worker = p.service.worker,
      .slot = release.row.slot,
      .usage = {},
      .accept_queue = {}};
  if (p.files_only())
    return f;
  const auto seen = look_at_service(host, release, row, p, shared.seen);
  f.state = seen.state;
  if (!seen.trouble.empty())
    trouble = seen.trouble;
  f.starts = seen.restarts;
  for (const uint32_t index : p.indexes()) {
    const auto name = slot_name(release, p, index);
    f.usage += openrc::usage_of(host.paths, name.str());
    f.starts += seen.state == ServiceState::stopped ? 0 : 1;
    if (const auto queue = shared.queues.find(openrc::slot_socket(host.paths, name));
        queue != shared.queues.end())
      f.accept_queue = f.accept_queue.value_or(0) + queue->second;
  }
  return f;
}

ServiceFacts redis_of(HostContext& host, const store::SiteRow& row, const Queues& queues) {
  const auto name = redis_slot(row.site);
  ServiceFacts f{
      .name = "redis", .kind = "redis", .slot = name.slot, .usage = {}, .accept_queue = {}};
  const auto seen = host.slots.look(name);
  f.state = service_state(seen.state);
  f.starts = seen.respawns + (f.state == ServiceState::stopped ? 0U : 1U);
  f.usage = openrc::usage_of(host.paths, name.str());
  if (const auto queue = queues.find(redis_socket(host.paths, row.site)); queue != queues.end())
    f.accept_queue = queue->second;
  return f;
}

void add_services(HostContext& host, const LoadedRelease& release, const store::SiteRow& row,
    Shared& shared, SiteFacts& site) {
  for (const auto& p : release.services)
    site.services.push_back(service_of(host, release, row, p, shared, site.waiting));
  if (release.site.has_redis)
    site.services.push_back(redis_of(host, row, shared.queues));
  if (row.stopped)
    return;
  for (const auto& f : site.services)
    if (f.runs() && f.state != ServiceState::started)
      site.state = SiteState::degraded;
  if (const auto missing = missing_secrets(host, release.site); !missing.empty()) {
    site.state = SiteState::sealed;
    site.waiting = cat("waits for ", join(missing, ", "), ": ", secrets_remedy(host, row.site));
  }
}

// A service that has a port is counted by its address.
nginx::SiteCounts counted(HostContext& host, const store::SiteRow& row) {
  nginx::SiteCounts counts = nginx::counts(host.paths).of(row.site);
  const auto by_port = services_by_port(row);
  std::map<std::string, nginx::RequestCounts> named;
  for (const auto& [who, requests] : counts.services) {
    const auto colon = who.rfind(':');
    if (who.empty() || colon == std::string::npos) {
      named[who.empty() ? std::string(k_nginx) : who] += requests;
      continue;
    }
    const auto port = parse_u64(std::string_view(who).substr(colon + 1));
    const auto service = by_port.find(port.value_or(0));
    named[service == by_port.end() ? std::string(nginx::k_other_service) : service->second] +=
        requests;
  }
  counts.services = std::move(named);
  return counts;
}

Result<Shared> shared_by_sites(HostContext& host, KnownReleases& known) {
  Shared shared(known);
  for (auto& hold : TRY(host.store.holds()))
    shared.holds.emplace(hold.site.str(), std::move(hold));
  for (auto& total : TRY(store::read_totals(host.store)))
    shared.totals[total.site].push_back(std::move(total));
  return shared;
}

Result<SiteFacts> site_of(HostContext& host, Shared& shared, const store::SiteRow& row) {
  SiteFacts site(row.site);
  site.stopped = row.stopped;
  site.counts = counted(host, row);
  site.totals = std::move(shared.totals[row.site.str()]);
  if (const auto hold = shared.holds.find(row.site.str()); hold != shared.holds.end())
    site.hold = hold->second;
  site.maintenance = host.disk.exists(nginx::maintenance_flag(host.paths, row.site));
  if (row.live.empty())
    return site;
  site.state = row.stopped ? SiteState::stopped : SiteState::live;
  const auto release = TRY(shared.known.live_row(host, row));
  if (!release)
    return site;
  site.version = release->version;
  site.release = release->id;
  site.live_ms = release->live_ms;
  const auto loaded = shared.known.load(host, row, shared.seen);
  if (!loaded) {
    site.state = loaded.error().code == Code::sealed ? SiteState::sealed : SiteState::degraded;
    site.waiting = loaded.error().message;
    return site;
  }
  add_services(host, **loaded, row, shared, site);
  return site;
}

template <class T> Result<std::vector<T>> all_of(const std::function<Result<std::vector<T>>()>& f) {
  return f ? f() : Result<std::vector<T>>(std::vector<T>{});
}

uint64_t in_state(const std::vector<store::Job>& jobs, store::JobState state) {
  return static_cast<uint64_t>(std::ranges::count(jobs, state, &store::Job::state));
}

} // namespace

uint64_t AgentFacts::jobs_waiting_unlock() const {
  return in_state(unfinished, store::JobState::waiting_unlock);
}

uint64_t AgentFacts::jobs_waiting() const {
  return in_state(unfinished, store::JobState::queued) +
      in_state(unfinished, store::JobState::waiting_upload) + jobs_waiting_unlock();
}

FactBook::FactBook(HostContext& host, KnownReleases& known, FactSources sources)
    : m_host(host), m_known(known), m_sources(std::move(sources)),
      m_started_ms(host.clock.wall_ms()) {}

Result<Facts> FactBook::look() {
  Facts f;
  f.time_ms = m_host.clock.wall_ms();
  f.machine = machine_of(m_host);
  f.agent = TRY(agent_of(m_host, m_sources));
  f.agent.started_ms = m_started_ms;
  f.certificates = TRY(all_of(m_sources.certificates));
  f.backups = TRY(all_of(m_sources.backups));
  const auto told = TRY(store::Notices(m_host.store).totals());
  f.notices = {told.open, told.waiting, told.exhausted};
  const auto rows = TRY(m_host.store.sites());
  m_known.keep_only(rows);
  Shared shared = TRY(shared_by_sites(m_host, m_known));
  for (const auto& row : rows)
    f.sites.push_back(TRY(site_of(m_host, shared, row)));
  return f;
}

Result<std::shared_ptr<const Facts>> FactBook::facts(os::Millis age) {
  const std::scoped_lock lock(m_mutex);
  if (m_last && m_host.clock.mono() - m_last_at < age)
    return m_last;
  auto found = std::make_shared<const Facts>(TRY(look()));
  m_last_at = m_host.clock.mono();
  m_last = found;
  return found;
}

} // namespace chillbox::rollout
