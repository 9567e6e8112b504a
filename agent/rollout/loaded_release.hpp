// A release as it is installed: its row in the store, its site file, its services with their kinds,
// and the user that they run as. Whatever starts, renders, checks or compares a release takes one.
#pragma once

#include "config/site.hpp"
#include "openrc/slots.hpp"
#include "rollout/host_context.hpp"
#include "rollout/service_kind.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::rollout {

struct PlannedService {
  config::Service service;
  ServiceKind kind;
  std::string layer;                    // that preflight found for its build
  uint16_t port = 0;                    // in the release's slot, when it listens on TCP
  std::array<uint16_t, 2> slot_ports{}; // the same in slots a and b
  // Nothing of it runs: NGINX serves its files.
  bool files_only() const { return kind.listens == ServiceKind::Listens::no && !service.worker; }
  bool listens() const { return kind.listens != ServiceKind::Listens::no; }
  // The numbers of its processes: 0 of a service, 1 to `count` of a worker.
  std::vector<uint32_t> indexes() const;
};

struct LoadedRelease {
  explicit LoadedRelease(store::Release r) : row(std::move(r)), site{row.site} {}

  store::Release row;
  config::Site site;
  std::vector<PlannedService> services;
  os::User user;
  std::shared_ptr<const nginx::TextFacts> text = nullptr; // of row.nginx, where that is left out
  std::vector<std::string> unserved = {}; // names of it to which no server of that text answers
  // Where it is, or will be, installed.
  std::string dir(const os::Paths& paths) const;
};

// The SITE.site.json of the release in this tree.
Result<config::Site> read_site(os::Disk& disk, const std::string& tree, const SiteName& site);
// corrupt: it cannot be read, or its files are gone; sealed: they are, until an unlock rebuilds
// them; preflight: a kind of service is missing on this host.
Result<LoadedRelease> load(HostContext& host, store::Release row);
// The same by its id. corrupt: the store has no such release.
Result<LoadedRelease> load(HostContext& host, const SiteName& site, const std::string& id);
// not_found: nothing of the site is live.
Result<LoadedRelease> load_live(HostContext& host, const SiteName& site);
// The row of what is live; nullopt when nothing is.
Result<std::optional<store::Release>> live_row(HostContext& host, const store::SiteRow& site);

// The services of a site file with their kinds. preflight: a kind is missing on this host.
Result<std::vector<PlannedService>> plan_services(HostContext& host, const config::Site& site);
// The name of a copy in the release's slot; of a worker's first one when `index` is 0.
openrc::SlotName slot_name(
    const LoadedRelease& release, const PlannedService& p, uint32_t index = 0);
std::string slot_socket(
    const HostContext& host, const LoadedRelease& release, const PlannedService& p);
// The context in which the release's services run, in its slot.
ServiceContext context_of(const HostContext& host, const LoadedRelease& release,
    const PlannedService& p, const PortVariables& ports);
// Of one of `unserved`, for people.
std::string unserved_text(const std::string& name);
// The files of the secret set that it reads: "SERVICE/FILE".
std::vector<std::string> secret_files(const config::Service& service);
// Does any service of the site declare a secret file, or does its certificate come with the set?
bool uses_secrets(const config::Site& site);
// Secret files that services declare and that are not in tmpfs: "SERVICE/FILE".
std::vector<std::string> missing_secrets(HostContext& host, const config::Site& site);
// The names of the services and workers that these files belong to.
std::vector<std::string> services_of(
    const config::Site& site, const std::vector<std::string>& secret_files);

} // namespace chillbox::rollout
