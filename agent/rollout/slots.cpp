#include "rollout/slots.hpp"
#include "rollout/build.hpp"
#include "rollout/first_error.hpp"
#include "rollout/health.hpp"
#include "rollout/ports.hpp"
#include "rollout/redis.hpp"
#include "rollout/secret_set.hpp"
#include "rollout/service_environment.hpp"
#include "rollout/shared_data.hpp"
#include "rollout/steps.hpp"
#include "rollout/stop_first.hpp"
#include "rollout/trust.hpp"

#include "base/text.hpp"
#include "base/unsynced.hpp"
#include "os/port.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace chillbox::rollout {
namespace {

constexpr os::Millis k_drain_least{
    300}; // NGINX may have looked the old link up and not connected yet
constexpr os::Millis k_drain_most{10'000};
constexpr os::Millis k_drain_pause{20}; // see drain
constexpr os::Millis k_grace_without_visitors{3'000};
constexpr size_t k_last_lines = 20;

std::string log_file(HostContext& host, const SiteName& site, const config::Service& s) {
  return cat(host.paths.logs_of(site), "/", s.name.str(), ".log");
}

// A request has the time that NGINX waits for its answer, unless nobody else answers meanwhile.
os::Millis stop_timeout_of(const config::Service& service) {
  if (service.stop_timeout || service.worker || service.strategy == config::Strategy::stop_first)
    return service.stop_timeout.value_or(openrc::k_stop_timeout);
  return service.web.request_timeout.value_or(config::k_request_timeout);
}

Result<openrc::SlotSpec> spec_of(HostContext& host, const LoadedRelease& release,
    const PlannedService& p, const PortVariables& ports, uint32_t index) {
  auto place = context_of(host, release, p, ports);
  place.index = index;
  openrc::SlotSpec spec{.name = slot_name(release, p, index)};
  spec.release = release.row.id;
  spec.argv = TRY(command(host, p.kind, place));
  spec.env = TRY(service_environment(host, place));
  spec.secrets_env = secrets_env_path(host, place);
  spec.cwd = place.release_dir + "/" + p.service.folder();
  spec.user = release.user.name;
  if (shares_data(release.site, p.service.folder()))
    spec.umask = "027"; // NGINX's group reads what is made in a shared folder, and changes nothing
  spec.log = log_file(host, release.row.site, p.service);
  spec.niceness = p.service.niceness;
  spec.stop_timeout = stop_timeout_of(p.service);
  spec.limits = limits_of(host, release.site, p.service);
  spec.port = p.port;
  spec.log_size = host.config.log_size;
  spec.log_files = host.config.log_files;
  if (p.kind.listens == ServiceKind::Listens::on_socket) {
    spec.socket = slot_socket(host, release, p);
    spec.socket_group = host.as_root ? TRY(host.nginx.group()) : release.user.gid;
  }
  return spec;
}

// Otherwise the program that listens there would answer the health check, and then the site's
// requests (faults 73, 108).
Result<void> check_port(HostContext& host, const openrc::SlotName& name, const PlannedService& p,
    const std::string& release) {
  if (host.slots.release_in(name) == release)
    return {};
  if (const auto holder = stranger_at(host, p.port, name))
    return fail(Code::busy, cat("port ", p.port, " is taken by ", os::describe(*holder)));
  return {};
}

bool runs(HostContext& host, const openrc::SlotName& name, const std::string& release) {
  const auto state = host.slots.state(name);
  return state && *state == openrc::SlotState::started && host.slots.release_in(name) == release;
}

// Remembers where the log of each service ends before its new slot writes: what comes after is this
// release's own.
void mark_logs(JobContext& r) {
  r.log_start.clear();
  for (const auto& p : r.release.services) {
    const std::string file = log_file(r.host, r.job.site, p.service);
    r.log_start.emplace_back(file, r.host.disk.size(file));
  }
}

} // namespace

std::string error_since_start(JobContext& r, const PlannedService& p) {
  const std::string file = log_file(r.host, r.job.site, p.service);
  for (const auto& [log, start] : r.log_start)
    if (log == file)
      if (const auto text = r.host.disk.tail(file, start, 16 * 1024))
        if (const auto error = first_error(*text); !error.empty())
          return ": " + error;
  return {};
}

void keep_last_lines(JobContext& r) {
  for (const auto& [file, start] : std::exchange(r.log_start, {})) {
    const auto text = r.host.disk.tail(file, start, 16 * 1024);
    if (!text || trim(*text).empty())
      continue;
    auto lines = split(trim(*text), '\n');
    if (lines.size() > k_last_lines)
      lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(k_last_lines));
    for (auto line : lines) {
      r.output(line);
      r.release.row.last_log += printable(line, 500) + "\n";
    }
    for (auto line : lines)
      if (const auto hint = read_only_hint(line); !hint.empty()) {
        r.output(hint);
        break;
      }
  }
}

Result<void> make_socket_dir(HostContext& host, const SiteName& site) {
  const std::string dir = host.paths.slots_of(site);
  TRY(host.disk.make_dir(dir, 0711, {::geteuid(), ::getegid()}));
  for (const auto& name : TRY(host.disk.list(dir)))
    if (const auto link = host.disk.read_link(cat(dir, "/", name));
        link && *link) // else it is a socket
      TRY(host.disk.remove(cat(dir, "/", name)));
  return {};
}

Result<void> start_slots(
    HostContext& host, const LoadedRelease& release, const std::vector<std::string>& skip) {
  TRY(make_socket_dir(host, release.row.site));
  TRY(start_redis(host, release)); // before those who use it
  const auto ports = TRY(port_variables(release));
  for (const auto& p : release.services) {
    if (p.files_only() || std::ranges::find(skip, p.service.name.str()) != skip.end())
      continue;
    const auto indexes = p.indexes();
    if (std::ranges::all_of(indexes, [&](uint32_t index) {
          return runs(host, slot_name(release, p, index), release.row.id);
        }))
      continue; // warm: its `command` need not be asked
    const std::string what = cat("service '", p.service.name.str(), "'");
    for (const uint32_t index : indexes) {
      const auto spec = TRY_IN(what, spec_of(host, release, p, ports, index));
      TRY_IN(what, check_port(host, spec.name, p, release.row.id));
      TRY_IN(what, host.slots.start(spec));
    }
  }
  return {};
}

Result<void> stop_undone(JobContext& r, const std::vector<openrc::SlotName>& names) {
  return r.host.slots.stop_all(names, {}, [&r](const openrc::SlotName& name) {
    return r.control.switched || name.index > 0 ? os::Millis::max() : k_grace_without_visitors;
  });
}

Result<void> stop_slots(
    HostContext& host, const SiteName& site, Slot slot, const std::function<bool()>& hurry) {
  std::vector<openrc::SlotName> names, redis; // that after those who use it
  for (const auto& name : host.slots.all())
    if (name.site == site && (slot == Slot::none || (name.slot == slot && !is_redis(name))))
      (is_redis(name) ? redis : names).push_back(name);
  TRY(host.slots.stop_all(names, hurry));
  return host.slots.stop_all(redis, hurry);
}

// Until nobody waits to be accepted by this slot any more. What it accepted it finishes
// after TERM. A queue that becomes empty is no event, so it is looked at.
void drain(JobContext& r, Slot slot, os::Millis without_visitors) {
  const os::Millis begun = r.host.clock.mono();
  const auto names = r.host.slots.all();
  for (;;) {
    uint32_t waiting = 0;
    for (const auto& name : names)
      if (name.site == r.job.site && name.slot == slot && name.index == 0) {
        waiting += openrc::accept_queue(openrc::slot_socket(r.host.paths, name)).value_or(0);
        if (const auto port = port_of(r.row, name.service, slot))
          waiting += os::accept_queue(*port);
      }
    const os::Millis passed = r.host.clock.mono() - begun;
    if (passed >= k_drain_most || (waiting == 0 && passed + without_visitors >= k_drain_least))
      return;
    r.control.wait(k_drain_pause);
  }
}

namespace {

// What an earlier release left in the slot, perhaps only a moment ago after a switch whose watch
// this job cut short.
Result<void> clear_slot(JobContext& r) {
  std::vector<openrc::SlotName> left;
  for (const auto& name : r.host.slots.all())
    if (name.site == r.job.site && name.slot == r.release.row.slot && !is_redis(name) &&
        r.host.slots.release_in(name) != r.release.row.id)
      left.push_back(name);
  // It has no visitors since the live release has them; a clock that was set back makes that no
  // longer ago.
  const int64_t since = r.old ? r.host.clock.wall_ms() - r.old->live_ms : 0;
  if (!left.empty())
    drain(r, r.release.row.slot, os::Millis{std::max<int64_t>(since, 0)});
  return r.host.slots.stop_all(left);
}

Result<Next> run_start(JobContext& r) {
  // After a power cut nothing of it runs, and what is started then writes these files again.
  const Unsynced later;
  if (r.release.row.slot == Slot::none)
    r.release.row.slot = other_slot(r.old ? r.old->slot : Slot::none);
  const bool other = !r.old || r.release.row.slot != r.old->slot;
  if (other)
    TRY(clear_slot(r));
  TRY(assign_ports(r.host, r.row, r.release, other ? Ports::free_only : Ports::as_they_are));
  if (!r.old ||
      r.old->id !=
          r.release.row.id) // of the live one the store says where it runs until the switch
    TRY(r.host.store.put_release(r.release.row));
  mark_logs(r);
  TRY(load_current_set(r.host, r.job.site)); // an unlock may have come whose turn is after this job
  const auto missing = missing_secrets(r.host, r.release.site);
  if (!missing.empty() && r.job.kind != store::JobKind::start)
    return fail(Code::sealed,
        cat("secret '", missing[0], "' is not staged: ", secrets_remedy(r.host, r.job.site)));
  if (!missing.empty())
    r.job.message =
        cat("started, except what waits for ", join(missing, ", "), ": `chillboxctl unlock`");
  auto skip = services_of(r.release.site, missing);
  for (const auto& p : r.release.services)
    if (must_stop_first(r, p))
      r.stop_first.insert(p.service.name.str());
  skip.insert(skip.end(), r.stop_first.begin(), r.stop_first.end());
  TRY(start_slots(r.host, r.release, skip));
  return Next::proceed;
}

// The settings of its Redis as the live release has them; a release that did not hold may have
// brought others.
Result<void> redis_of_old(JobContext& r) {
  if (!r.release.site.has_redis)
    return {};
  if (!r.old || r.was_stopped)
    return stop_redis(r.host, r.job.site);
  const auto back = TRY(load(r.host, *r.old));
  return back.site.has_redis ? start_redis(r.host, back) : stop_redis(r.host, r.job.site);
}

Result<void> undo_start(JobContext& r) {
  if (r.job.kind == store::JobKind::start && r.was_stopped) {
    keep_last_lines(r);
    return stop_slots(r.host, r.job.site, Slot::none);
  }
  if (r.release.row.slot == Slot::none || (r.old && r.old->slot == r.release.row.slot))
    return {};
  keep_last_lines(r);
  if (r.control.switched)
    drain(r, r.release.row.slot); // it had the traffic
  std::vector<openrc::SlotName> undone;
  for (const auto& name : r.host.slots.all())
    if (name.site == r.job.site && name.slot == r.release.row.slot && !is_redis(name))
      undone.push_back(name);
  const auto stopped = stop_undone(r, undone);
  TRY_IN("its Redis is not as it was before", redis_of_old(r));
  TRY_IN("a copy that is not wanted still runs", stopped);
  return {};
}

Result<Next> run_check(JobContext& r) {
  r.control.turn().let_go();
  const auto waiting = services_of(r.release.site,
      missing_secrets(r.host, r.release.site)); // a start on a sealed host left these out
  for (const auto& p : r.release.services) {
    const std::string& name = p.service.name.str();
    const bool waits = std::ranges::find(waiting, name) != waiting.end();
    if (p.listens() && !waits && !r.stop_first.contains(name))
      TRY(wait_healthy(r, p));
  }
  TRY(wait_for_sync(r)); // nothing stops and no visitor comes before
  return Next::proceed;
}

Result<Next> run_stop(JobContext& r) {
  if (!r.old)
    return fail(Code::not_found, cat("site '", r.job.site.str(), "' has no live release"));
  r.job.release = r.old->id;
  if (!r.job.service.empty()) {
    auto names = r.host.slots.all();
    std::erase_if(names, [&](const auto& name) {
      return name.site != r.job.site || name.service.str() != r.job.service;
    });
    TRY(r.host.slots.stop_all(names));
    if (names.empty())
      return fail(Code::not_found,
          cat("no service '", printable(r.job.service, 40), "' of '", r.job.site.str(), "' runs"));
    r.job.message = "stopped until the next start, restart, deploy or boot";
    return Next::finished;
  }
  TRY(stop_slots(r.host, r.job.site, Slot::none));
  r.row.stopped = true;
  TRY(r.host.store.set_stopped(r.job.site, true));
  r.job.message = cat("stopped; `chillboxctl start ", r.job.site.str(), "` brings it back");
  return Next::finished;
}

} // namespace

extern const Step k_start{.name = "start", .run = run_start, .undo = undo_start};
extern const Step k_check{.name = "check", .run = run_check};
extern const Step k_stop{
    .name = "stop", .run = run_stop, .ends_watch = true, .recorded_first = true};

} // namespace chillbox::rollout
