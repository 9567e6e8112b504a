#include "rollout/ports.hpp"
#include "rollout/service_environment.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "openrc/cgroup.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <mutex>
#include <set>

namespace chillbox::rollout {
namespace {

constexpr uint16_t k_first_port = 20'000;
constexpr uint16_t k_last_port = 29'999;
constexpr uint16_t k_least_port = 1024; // below they are root's
// For a service that is not started, such as a frozen Chill: its template may still name it.
// nginx/bounds.cpp lets sites go there, where nobody is.
constexpr uint16_t k_nobodys_port = 1;
constexpr std::array<std::string_view, 2> k_names{"PORT", "CHILL_PORT"};

Json ports_of(const store::SiteRow& row) {
  return parse_json(row.ports.empty() ? "{}" : row.ports, 64 * 1024).value_or(Json::object());
}

// Those that know nothing else, and those whose author gave them one: a template may send requests
// there.
bool has_port(const PlannedService& p) {
  return p.kind.listens == ServiceKind::Listens::on_port ||
      (p.kind.listens == ServiceKind::Listens::on_socket && !own_port_variables(p.service).empty());
}

// The site's variables that the service's own PORT or CHILL_PORT refer to, one by another.
std::vector<std::string> names_of_port(const config::Site& site, const config::Service& service) {
  std::vector<std::string> names;
  for (const auto& variable : service.environment) {
    if (std::ranges::find(k_names, variable.name) == k_names.end())
      continue;
    auto name = config::sole_reference(variable.value);
    for (size_t steps = 0; name && steps < site.env.size(); ++steps) {
      const auto found = std::ranges::find(site.env, *name, &config::Variable::name);
      if (found == site.env.end())
        break;
      names.push_back(*name);
      name = config::sole_reference(found->value);
    }
  }
  return names;
}

// Where there are no control groups, a slot that runs is believed.
bool is_of_slot(HostContext& host, const os::PortHolder& holder, const openrc::SlotName& name) {
  const auto groups = openrc::cgroups_of(host.disk, host.paths, name.str());
  if (groups.empty() || holder.pid == 0)
    return !host.slots.release_in(name).empty();
  return std::ranges::any_of(groups, [&](const auto& group) {
    const auto members = openrc::members(host.disk, group);
    return std::ranges::find(members, holder.pid) != members.end();
  });
}

Result<uint16_t> free_port(std::set<uint64_t>& taken) {
  for (uint16_t port = k_first_port; port <= k_last_port; ++port)
    if (!taken.contains(port) && !os::port_holder(port)) {
      taken.insert(port);
      return port;
    }
  return fail(Code::busy,
      cat("no port from ", k_first_port, " to ", k_last_port, " is free: remove a site"));
}

} // namespace

std::optional<os::PortHolder> stranger_at(HostContext& host, uint16_t port,
    const openrc::SlotName& name, const os::Listeners& listeners) {
  if (port == 0 || !listeners.any(port))
    return std::nullopt;
  for (const auto& group : openrc::cgroups_of(host.disk, host.paths, name.str()))
    if (listeners.belong_to(openrc::members(host.disk, group), port))
      return std::nullopt; // which is far less than a look at all processes
  auto holder = listeners.holder(port);
  return holder && !is_of_slot(host, *holder, name) ? holder : std::nullopt;
}

// "PORT": "$API_PORT", and API_PORT may be another name for a third one. What is more than a name
// stays as it is.
Result<PortVariables> port_variables(const LoadedRelease& release) {
  PortVariables ports;
  std::map<std::string, std::string> whose;
  for (const auto& p : release.services)
    for (const auto& name :
        has_port(p) ? names_of_port(release.site, p.service) : std::vector<std::string>()) {
      const auto [owner, is_new] = whose.emplace(name, p.service.name.str());
      if (!is_new && owner->second != p.service.name.str())
        return fail(Code::preflight,
            cat("variable '", name, "' is the port of service '", owner->second,
                "' and of service '", p.service.name.str(), "': give each its own"));
      ports[name] = p.port;
    }
  for (const auto& p : release.services)
    if (!p.service.worker && !has_port(p))
      for (const auto& name : names_of_port(release.site, p.service))
        ports.emplace(name, k_nobodys_port);
  return ports;
}

// One a slot, kept with the site so that they stay the same, unique on the host: both are in the
// NGINX text. Whoever takes the port of a slot that does not run blocks nothing.
Result<void> choose_ports(
    HostContext& host, store::SiteRow& row, LoadedRelease& release, Ports kept) {
  Json ports = ports_of(row);
  std::set<uint64_t> taken;
  for (const auto& other : TRY(host.store.sites())) {
    const Json theirs = ports_of(other);
    for (const auto& [key, value] : theirs.items())
      taken.insert(value.get<uint64_t>());
  }
  for (auto& p : release.services) {
    if (!has_port(p))
      continue;
    for (const Slot slot : {Slot::a, Slot::b}) {
      const std::string key = cat(p.service.name.str(), ".", letter(slot));
      const bool lost = kept == Ports::free_only && slot == release.row.slot &&
          ports.contains(key) &&
          stranger_at(host, ports[key].get<uint16_t>(), {row.site, p.service.name, slot})
              .has_value();
      if (!ports.contains(key) || lost)
        ports[key] = TRY(free_port(taken));
      p.slot_ports[slot == Slot::a ? 0 : 1] = ports[key].get<uint16_t>();
      if (slot == release.row.slot)
        p.port = ports[key].get<uint16_t>();
    }
  }
  if (ports.size() > 0)
    row.ports = dump(ports);
  return {};
}

Result<void> assign_ports(
    HostContext& host, store::SiteRow& row, LoadedRelease& release, Ports kept) {
  static std::mutex one; // sites side by side must not find the same port free
  const std::scoped_lock lock(one);
  const std::string before = row.ports;
  TRY(choose_ports(host, row, release, kept));
  return row.ports == before ? Result<void>() : host.store.set_ports(row.site, row.ports);
}

std::optional<uint16_t> port_of(const store::SiteRow& row, const ServiceName& service, Slot slot) {
  const Json ports = ports_of(row);
  const auto found = ports.find(cat(service.str(), ".", letter(slot)));
  return found == ports.end() ? std::nullopt : std::optional(found->get<uint16_t>());
}

std::map<uint64_t, std::string> services_by_port(const store::SiteRow& row) {
  std::map<uint64_t, std::string> services;
  const Json ports = ports_of(row);
  for (const auto& [key, value] : ports.items())
    if (value.is_number_unsigned())
      services[value.get<uint64_t>()] = key.substr(0, key.rfind('.'));
  return services;
}

std::optional<std::string> site_of_port(HostContext& host, uint16_t port, const SiteName& but) {
  for (const auto& other : host.store.sites().value_or(std::vector<store::SiteRow>{})) {
    const Json theirs = ports_of(other);
    for (const auto& [key, value] : theirs.items())
      if (other.site != but && value == port)
        return other.site.str();
  }
  return std::nullopt;
}

std::vector<std::string> port_problems(HostContext& host, const LoadedRelease& release) {
  std::vector<std::string> problems;
  for (const auto& p : release.services) {
    const std::string who = cat("service '", p.service.name.str(), "': ");
    const auto variables =
        config::expand_all(service_variables(host, release.site, p.service, &p.kind));
    for (const auto& name : own_port_variables(p.service)) {
      const auto number = variables
          ? parse_u64(variables->at(name))
          : std::optional<uint64_t>(k_first_port); // else reported already
      if (!number || *number < k_least_port || *number > UINT16_MAX)
        problems.push_back(cat(who, name, " is '", printable(variables->at(name), 20),
            "': must be a port from ", k_least_port, " to ", UINT16_MAX));
    }
    // What an earlier release of the site left in the slot is stopped before.
    if (const auto holder = stranger_at(host, p.port, slot_name(release, p)))
      problems.push_back(cat(who, "port ", p.port, " is taken by ", os::describe(*holder)));
  }
  return problems;
}

} // namespace chillbox::rollout
