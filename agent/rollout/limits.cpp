// What the processes of a site may use up, as its site file and the host's configuration say.
#include "rollout/service_kind.hpp"

#include "base/text.hpp"
#include "os/control_group.hpp"

#include <algorithm>
#include <cstdint>

namespace chillbox::rollout {
namespace {

uint32_t tasks_of(const HostContext& host, const config::Service& service) {
  return service.resources.tasks_max != 0 ? service.resources.tasks_max : host.config.tasks_default;
}

os::Limits declared(const config::Resources& r) {
  return {
      .memory_max = r.memory_max, .cpu_max = r.cpu_max, .cpus = r.cpus, .tasks_max = r.tasks_max};
}

// The kernel counts the processes of a user, whatever they belong to: so everybody's share is the
// sum of what may run at once, both slots and what is run next to them. Never below a control
// group's own limit, and never without one.
uint32_t tasks_of_site(const HostContext& host, const config::Site& site) {
  uint64_t sum = 2ULL * host.config.tasks_default;
  for (const auto& service : site.services)
    sum += 2ULL * tasks_of(host, service) * (service.worker ? service.count : 1);
  return static_cast<uint32_t>(std::min<uint64_t>(sum, UINT32_MAX));
}

} // namespace

os::Limits limits_of(
    const HostContext& host, const config::Site& site, const config::Service& service) {
  os::Limits limits = declared(service.resources);
  limits.tasks_max = tasks_of(host, service);
  limits.user_tasks_max = tasks_of_site(host, site);
  return limits;
}

std::vector<std::string> limit_warnings(const config::Site& site) {
  std::vector<std::string> out;
  for (const auto& service : site.services)
    if (const auto names = os::limits_without_effect(declared(service.resources)); !names.empty())
      out.push_back(cat("service '", service.name.str(), "': resources.",
          join(names, ", resources."), names.size() == 1 ? " has" : " have",
          " no effect, because this host has no such controller of control groups version 2: see `chillboxctl doctor`"));
  return out;
}

} // namespace chillbox::rollout
