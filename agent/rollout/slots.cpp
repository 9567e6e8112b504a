#include "rollout/steps.hpp"

#include "base/text.hpp"
#include "os/port.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace chillbox::rollout {
namespace {

constexpr os::Millis k_drain_least{
    300}; // NGINX may have looked the old link up and not connected yet
constexpr os::Millis k_drain_most{10'000};
constexpr os::Millis k_drain_pause{20};
constexpr os::Millis k_first_pause{5};
constexpr os::Millis k_grace_without_visitors{3'000};
constexpr size_t k_last_lines = 20;

std::string log_file(World& world, const SiteName& site, const config::Service& s) {
  return cat(world.paths.logs_of(site), "/", s.name.str(), ".log");
}

// Each service's processes: one, or `count` of a worker.
std::vector<uint32_t> indexes(const config::Service& s) {
  if (!s.worker)
    return {0};
  std::vector<uint32_t> all;
  for (uint32_t i = 1; i <= s.count; ++i)
    all.push_back(i);
  return all;
}

Result<openrc::SlotSpec> spec_of(World& world, const config::Site& site, const PlannedService& p,
    const store::Release& release, const os::User& user, const PortVariables& ports) {
  const Place place{&site, &p.service, release.version,
      world.paths.releases(site.slug) + "/" + release.id, release.slot, p.port, user, ports};
  openrc::SlotSpec spec{.name = slot_name(site, p, release.slot, 0)};
  spec.release = release.id;
  spec.argv = TRY(command(world, p.kind, place));
  spec.env = TRY(service_environment(world, place));
  spec.cwd = place.release_dir + "/" + p.service.name.str();
  spec.user = user.name;
  spec.log = log_file(world, site.slug, p.service);
  spec.niceness = p.service.niceness;
  spec.limits = limits_of(world, site, p.service);
  spec.port = p.port;
  spec.log_size = world.config.log_size;
  spec.log_files = world.config.log_files;
  if (p.kind.listens == Kind::Listens::on_socket) {
    spec.socket = slot_socket(world, site, p, release.slot);
    spec.socket_group = world.as_root ? TRY(world.nginx.group()) : user.gid;
  }
  return spec;
}

// Else whoever is there would answer the health check, and then the site's requests (faults 73,
// 108).
Result<void> check_port(World& world, const openrc::SlotName& name, const PlannedService& p,
    const std::string& release) {
  if (world.slots.release_in(name) == release)
    return {};
  if (const auto holder = stranger_at(world, p.port, name))
    return fail(Code::busy, cat("port ", p.port, " is taken by ", os::describe(*holder)));
  return {};
}

bool runs(World& world, const openrc::SlotName& name, const std::string& release) {
  const auto state = world.slots.state(name);
  return state && *state == openrc::SlotState::started && world.slots.release_in(name) == release;
}

// Remembers where the log of each service ends before its new slot writes: what comes after is this
// release's own.
void mark_logs(Rollout& r) {
  r.log_start.clear();
  for (const auto& p : r.services) {
    const std::string file = log_file(r.world, r.job.site, p.service);
    r.log_start.emplace_back(file, r.world.disk.size(file));
  }
}

// A copy that ended once may have been unlucky; one that ends again and again will not become
// healthy.
bool crashed(World& world, const openrc::SlotName& name) {
  constexpr uint32_t k_enough = 2;
  const auto state = world.slots.state(name);
  return (state &&
             (*state == openrc::SlotState::crashed || *state == openrc::SlotState::stopped)) ||
      world.slots.respawns(name) >= k_enough;
}

} // namespace

void keep_last_lines(Rollout& r) {
  for (const auto& [file, start] : std::exchange(r.log_start, {})) {
    const auto text = r.world.disk.tail(file, start, 16 * 1024);
    if (!text || trim(*text).empty())
      continue;
    auto lines = split(trim(*text), '\n');
    if (lines.size() > k_last_lines)
      lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(k_last_lines));
    for (auto line : lines) {
      r.output(line);
      r.release.last_log += printable(line, 500) + "\n";
    }
  }
}

Result<void> wait_healthy(Rollout& r, const PlannedService& p) {
  const auto& health = p.service.health;
  const os::Millis begun = r.world.clock.mono();
  uint32_t good = 0;
  std::string last = "no answer yet";
  for (;;) {
    if (r.signals.cancelled())
      return fail(Code::interrupted, "cancelled");
    if (auto answer = probe_service(r.world, r.site, p, r.release.slot)) {
      if (++good >= health.count)
        return {};
    } else {
      good = 0;
      last = answer.error().message;
    }
    if (crashed(r.world, slot_name(r.site, p, r.release.slot, 0)))
      return fail(Code::unhealthy,
          cat("service '", p.service.name.str(),
              "' crashes while starting: its last lines tell why"));
    const os::Millis passed = r.world.clock.mono() - begun;
    if (passed >= health.deadline)
      return fail(Code::unhealthy,
          cat("service '", p.service.name.str(), "' is not healthy after ", passed.count(),
              " ms (health.deadline): ", last));
    // An eighth of what it has taken so far: seen late by that much at most, and seldom asked when
    // it is slow.
    r.signals.wait(good > 0 ? health.interval
                            : std::min(std::max(passed / 8, k_first_pause), health.interval));
  }
}

openrc::SlotName slot_name(
    const config::Site& site, const PlannedService& p, Slot slot, uint32_t index) {
  return {site.slug, p.service.name, slot, p.service.worker && index == 0 ? 1 : index};
}

std::string slot_socket(
    World& world, const config::Site& site, const PlannedService& p, Slot slot) {
  return openrc::slot_socket(world.paths, {site.slug, p.service.name, slot});
}

Result<void> make_socket_dir(World& world, const SiteName& site) {
  const std::string dir = world.paths.slots_of(site);
  TRY(world.disk.make_dir(dir, 0711, {::geteuid(), ::getegid()}));
  for (const auto& name : TRY(world.disk.list(dir)))
    if (const auto link = world.disk.read_link(cat(dir, "/", name));
        link && *link) // else it is a socket
      TRY(world.disk.remove(cat(dir, "/", name)));
  return {};
}

Result<void> probe_service(
    World& world, const config::Site& site, const PlannedService& p, Slot slot) {
  if (p.kind.listens == Kind::Listens::no)
    return {};
  nginx::Probe probe{
      .path = p.service.health.path, .host = site.server_name, .timeout = p.service.health.timeout};
  if (p.kind.listens == Kind::Listens::on_socket)
    probe.socket = slot_socket(world, site, p, slot);
  else
    probe.port = p.port;
  const auto answer = TRY(nginx::probe(probe));
  const int limit = p.service.health.declared ? 400 : 500;
  if (answer.status < 200 || answer.status >= limit)
    return fail(
        Code::unhealthy, cat("GET ", printable(probe.path, 80), " answered ", answer.status));
  return {};
}

Result<void> wait_for_probe(
    World& world, Signals& signals, const config::Site& site, const PlannedService& p, Slot slot) {
  const os::Millis end = world.clock.mono() + p.service.health.deadline;
  for (;;) {
    auto answer = probe_service(world, site, p, slot);
    if (answer || signals.stopping() || world.clock.mono() >= end ||
        crashed(world, slot_name(site, p, slot, 0)))
      return answer;
    world.clock.sleep(p.service.health.interval);
  }
}

Result<void> start_slots(World& world, const config::Site& site,
    const std::vector<PlannedService>& services, const store::Release& release,
    const os::User& user, const std::vector<std::string>& skip) {
  TRY(make_socket_dir(world, site.slug));
  TRY(start_redis(world, site, release, user)); // before those who use it
  const auto ports = TRY(port_variables(site, services));
  for (const auto& p : services) {
    if (p.kind.listens == Kind::Listens::no && !p.service.worker)
      continue; // files only
    if (std::ranges::find(skip, p.service.name.str()) != skip.end())
      continue;
    if (std::ranges::all_of(indexes(p.service), [&](uint32_t index) {
          return runs(world, slot_name(site, p, release.slot, index), release.id);
        }))
      continue; // warm: its `command` need not be asked
    const std::string what = cat("service '", p.service.name.str(), "'");
    auto spec = TRY_IN(what, spec_of(world, site, p, release, user, ports));
    for (const uint32_t index : indexes(p.service)) {
      spec.name = slot_name(site, p, release.slot, index);
      auto numbered = spec;
      if (p.service.worker)
        numbered.env.emplace_back("CHILLBOX_WORKER", std::to_string(index));
      TRY_IN(what, check_port(world, spec.name, p, release.id));
      TRY_IN(what, world.slots.start(numbered));
    }
  }
  return {};
}

os::Millis grace_of_undone(const Rollout& r, const openrc::SlotName& name) {
  return r.signals.switched || name.index > 0 ? k_stop_grace : k_grace_without_visitors;
}

Result<void> stop_slots(World& world, const SiteName& site, Slot slot) {
  for (const auto& name : world.slots.all())
    if (name.site == site && (slot == Slot::none || (name.slot == slot && !is_redis(name))))
      TRY(world.slots.stop(name, k_stop_grace));
  return {};
}

// Until nobody waits to be accepted by this slot any more. What it accepted it finishes by itself
// after TERM.
void drain(Rollout& r, Slot slot) {
  const os::Millis begun = r.world.clock.mono();
  const auto names = r.world.slots.all();
  for (;;) {
    uint32_t waiting = 0;
    for (const auto& name : names)
      if (name.site == r.job.site && name.slot == slot && name.index == 0) {
        waiting += openrc::accept_queue(openrc::slot_socket(r.world.paths, name)).value_or(0);
        if (const auto port = port_of(r.row, name.service, slot))
          waiting += os::accept_queue(*port);
      }
    const os::Millis passed = r.world.clock.mono() - begun;
    if (passed >= k_drain_most || (waiting == 0 && passed >= k_drain_least))
      return;
    r.signals.wait(k_drain_pause);
  }
}

// What an earlier release left in the slot, perhaps only a moment ago behind a switch whose watch
// this job cut short.
Result<void> clear_slot(Rollout& r) {
  std::vector<openrc::SlotName> left;
  for (const auto& name : r.world.slots.all())
    if (name.site == r.job.site && name.slot == r.release.slot && !is_redis(name) &&
        r.world.slots.release_in(name) != r.release.id)
      left.push_back(name);
  if (!left.empty())
    drain(r, r.release.slot);
  for (const auto& name : left)
    TRY(r.world.slots.stop(name, k_stop_grace));
  return {};
}

Result<Next> run_start(Rollout& r) {
  if (r.release.slot == Slot::none)
    r.release.slot = other_slot(r.old ? r.old->slot : Slot::none);
  const bool anew = !r.old || r.release.slot != r.old->slot;
  if (anew)
    TRY(clear_slot(r));
  TRY(assign_ports(
      r.world, r.row, r.services, r.release.slot, anew ? Ports::free_only : Ports::as_they_are));
  if (!r.old ||
      r.old->id != r.release.id) // of the live one the store says where it runs until the switch
    TRY(r.world.store.put_release(r.release));
  mark_logs(r);
  TRY(stage_current_set(
      r.world, r.job.site)); // an unlock may have come whose turn is behind this job
  const auto missing = missing_secrets(r.world, r.site);
  if (!missing.empty() && r.job.kind != store::JobKind::start)
    return fail(
        Code::sealed, cat("secret '", missing[0], "' is not staged: `chillboxctl unlock` first"));
  if (!missing.empty())
    r.job.message =
        cat("started, but for what waits for ", join(missing, ", "), ": `chillboxctl unlock`");
  std::vector<std::string> skip;
  for (const auto& file : missing)
    skip.emplace_back(split(file, '/')[0]);
  for (const auto& p : r.services)
    if (takes_over(r, p))
      r.handover.insert(p.service.name.str());
  skip.insert(skip.end(), r.handover.begin(), r.handover.end());
  TRY(start_slots(r.world, r.site, r.services, r.release, r.user, skip));
  return Next::go_on;
}

// The settings of its Redis as the live release has them; a release that did not hold may have
// brought others.
void redis_of_old(Rollout& r) {
  if (!r.site.has_redis)
    return;
  if (!r.old || r.row.stopped)
    return void(stop_redis(r.world, r.job.site));
  Rollout back(r.world, r.job, r.signals);
  back.release = *r.old;
  auto done = load_release(back);
  if (done)
    done = back.site.has_redis ? start_redis(r.world, back.site, back.release, back.user)
                               : stop_redis(r.world, r.job.site);
  if (!done)
    r.output(cat("its Redis is not as it was before: ", done.error().message));
}

void undo_start(Rollout& r) {
  if (r.release.slot == Slot::none || (r.old && r.old->slot == r.release.slot))
    return;
  keep_last_lines(r);
  if (r.signals.switched)
    drain(r, r.release.slot); // it had the traffic
  for (const auto& name : r.world.slots.all())
    if (name.site == r.job.site && name.slot == r.release.slot && !is_redis(name))
      (void)r.world.slots.stop(name, grace_of_undone(r, name));
  redis_of_old(r);
}

Result<Next> run_check(Rollout& r) {
  r.signals.let_go();
  const auto missing = missing_secrets(r.world, r.site); // a start on a sealed host left these out
  for (const auto& p : r.services) {
    const bool waits = std::ranges::any_of(
        missing, [&](const auto& file) { return file.starts_with(p.service.name.str() + "/"); });
    if (p.kind.listens != Kind::Listens::no && !waits && !r.handover.contains(p.service.name.str()))
      TRY(wait_healthy(r, p));
  }
  return Next::go_on;
}

Result<Next> run_stop(Rollout& r) {
  if (!r.old)
    return fail(Code::not_found, cat("site '", r.job.site.str(), "' has no live release"));
  r.job.release = r.old->id;
  size_t stopped = 0;
  for (const auto& name : r.world.slots.all())
    if (name.site == r.job.site && (r.job.service.empty() || name.service.str() == r.job.service)) {
      TRY(r.world.slots.stop(name, k_stop_grace));
      ++stopped;
    }
  if (!r.job.service.empty()) {
    if (stopped == 0)
      return fail(Code::not_found,
          cat("no service '", printable(r.job.service, 40), "' of '", r.job.site.str(), "' runs"));
    r.job.message = "stopped until the next start, restart, deploy or boot";
    return Next::finished;
  }
  r.row.stopped = true;
  TRY(r.world.store.put_site(r.row));
  r.job.message = "stopped; `chillboxctl start` brings it back";
  return Next::finished;
}

} // namespace chillbox::rollout
