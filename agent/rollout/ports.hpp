// TCP ports of services: each slot has its own, kept with the site so that they stay the same, and
// unique on the host.
#pragma once

#include "os/port.hpp"
#include "rollout/loaded_release.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::rollout {

// The variables of the site that its services' own PORT or CHILL_PORT refer to, with the ports of
// the release's slot. preflight: two services share one.
Result<PortVariables> port_variables(const LoadedRelease& release);

// Which ports a slot gets. free_only: a slot that is about to be started gets another port when
// somebody else listens on its own; else NGINX may know it already.
enum class Ports { as_they_are, free_only };
// Gives each service that listens on TCP, or has a variable for it, its port in the release's slot,
// and records it in the site's row.
Result<void> assign_ports(HostContext& host, store::SiteRow& row, LoadedRelease& release,
    Ports kept = Ports::as_they_are);
// The same without a change of the store, for a look ahead.
Result<void> choose_ports(HostContext& host, store::SiteRow& row, LoadedRelease& release,
    Ports kept = Ports::as_they_are);

// The process that listens on the slot's port, when it is none of the slot's own.
std::optional<os::PortHolder> stranger_at(HostContext& host, uint16_t port,
    const openrc::SlotName& name, const os::Listeners& listeners = os::Listeners::read());
std::optional<uint16_t> port_of(const store::SiteRow& row, const ServiceName& service, Slot slot);
// Of both slots.
std::map<uint64_t, std::string> services_by_port(const store::SiteRow& row);
// Another site that has this port for one of its slots.
std::optional<std::string> site_of_port(HostContext& host, uint16_t port, const SiteName& but);
// Of a release whose ports were chosen: PORT or CHILL_PORT that is none or root's, a port that
// somebody else has (faults 73, 108). One a line.
std::vector<std::string> port_problems(HostContext& host, const LoadedRelease& release);

} // namespace chillbox::rollout
