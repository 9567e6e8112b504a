// What `top` and the report show: what the sites use and serve now, and how they did for a week.
#include "daemon/control_verbs.hpp"

#include "control/hours.hpp"
#include "control/usage.hpp"

#include <cmath>

namespace chillbox::daemon {

using control::Role;

namespace {

std::vector<uint64_t> bounds_ms() {
  std::vector<uint64_t> bounds;
  for (const double seconds : nginx::Histogram::k_bounds)
    bounds.push_back(static_cast<uint64_t>(std::llround(seconds * 1000)));
  return bounds;
}

control::SiteUsage usage_of(const rollout::SiteFacts& facts) {
  control::SiteUsage usage{.site = facts.site.str(),
      .state = facts.state,
      .version = facts.version,
      .live_ms = facts.live_ms,
      .times = std::vector<uint64_t>(nginx::Histogram::k_bounds.size() + 1),
      .services = {}};
  for (const auto& [service, requests] : facts.counts.services) {
    const auto& counts = requests.seconds.counts;
    for (size_t i = 0; i < counts.size(); ++i) {
      usage.times[i] += counts[i];
      usage.requests += counts[i];
    }
    for (const auto& [code, count] : requests.codes)
      usage.errors += code / 100 == 5 ? count : 0;
    usage.sent += requests.sent;
  }
  for (const auto& service : facts.services)
    usage.services.push_back({.name = service.name,
        .state = service.state,
        .starts = service.starts,
        .cpu_us = service.usage.cpu_us,
        .memory = service.usage.memory,
        .memory_limit = service.usage.memory_limit,
        .queue = service.accept_queue});
  return usage;
}

Result<control::Usage> top(const Call& call) {
  const auto facts = TRY(call.state.monitor.facts());
  const auto& machine = facts->machine;
  control::Usage usage{.time_ms = facts->time_ms,
      .started_ms = facts->agent.started_ms,
      .name = call.host().config.server_name,
      .version = facts->agent.version,
      .sealed = facts->agent.sealed,
      .load_percent = {},
      .processors = machine.processors,
      .memory_total = machine.memory_total,
      .memory_available = machine.memory_available,
      .uptime_s = machine.uptime_s,
      .jobs_running = facts->agent.jobs_running,
      .jobs_waiting_unlock = facts->agent.jobs_waiting_unlock(),
      .bounds_ms = bounds_ms(),
      .sites = {}};
  if (!machine.disks.empty()) {
    usage.disk_total = machine.disks[0].space.total_bytes;
    usage.disk_available = machine.disks[0].space.free_bytes;
  }
  if (machine.load1)
    usage.load_percent = static_cast<uint64_t>(std::llround(*machine.load1 * 100));
  for (const auto& site : facts->sites)
    if (may_see(call, site.site.str()))
      usage.sites.push_back(usage_of(site));
  return usage;
}

Result<control::Hours> hours(const Call& call) {
  control::Hours all{.now_ms = call.host().clock.wall_ms(), .sites = {}};
  const auto bounds = bounds_ms();
  for (const auto& row : TRY(call.state.monitor.hours())) {
    if (!may_see(call, row.site))
      continue;
    if (all.sites.empty() || all.sites.back().site != row.site)
      all.sites.push_back({.site = row.site});
    auto& site = all.sites.back();
    site.hours.push_back(static_cast<uint64_t>(row.hour));
    site.requests.push_back(row.requests);
    site.errors.push_back(row.errors);
    site.sent.push_back(row.sent);
    site.p95_ms.push_back(
        static_cast<uint64_t>(std::llround(control::percentile_95(row.times, bounds).value_or(0))));
    site.cpu_ms.push_back(row.cpu_ms);
    site.memory.push_back(row.memory);
  }
  return all;
}

constexpr ControlVerb k_top_verbs[] = {
    {"top", answer<top>, false, Role::look, Reach::filtered},
    {"hours", answer<hours>, false, Role::look, Reach::filtered},
};

} // namespace

std::span<const ControlVerb> top_verbs() {
  return k_top_verbs;
}

} // namespace chillbox::daemon
