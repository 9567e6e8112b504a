#include "rollout/loaded_release.hpp"

#include "base/text.hpp"
#include "rollout/install.hpp"
#include "rollout/tmpfs_release.hpp"
#include "secrets/load.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

std::unexpected<Error> files_are_gone(const HostContext& host, const store::Release& row) {
  if (!host.vault.unsealed())
    return fail(Code::sealed,
        cat("release ", row.id, " is rebuilt from its artifact after `chillboxctl unlock`"));
  return fail(Code::corrupt,
      cat("release ", row.id, ": its files are gone: `chillboxctl restart ", row.site.str(),
          "` rebuilds it from its artifact"));
}

} // namespace

std::vector<uint32_t> PlannedService::indexes() const {
  if (!service.worker)
    return {0};
  std::vector<uint32_t> all;
  for (uint32_t i = 1; i <= service.count; ++i)
    all.push_back(i);
  return all;
}

std::string LoadedRelease::dir(const os::Paths& paths) const {
  return paths.releases(row.site) + "/" + row.id;
}

Result<config::Site> read_site(os::Disk& disk, const std::string& tree, const SiteName& site) {
  const auto text =
      TRY(disk.read(cat(tree, "/", site.str(), ".site.json"), config::k_max_site_json));
  return config::parse_site(text, site);
}

Result<LoadedRelease> load(HostContext& host, store::Release row) {
  if (needs_rebuild(host, row))
    return files_are_gone(host, row);
  LoadedRelease release(std::move(row));
  auto site = read_site(host.disk, release.dir(host.paths), release.row.site);
  if (!site)
    return fail(site.error().code == Code::invalid ? Code::invalid : Code::corrupt,
        cat("release ", release.row.id, ": ", site.error().message));
  release.site = std::move(*site);
  release.services = TRY(plan_services(host, release.site));
  release.user = TRY(site_user(host, release.row.site));
  return release;
}

Result<LoadedRelease> load(HostContext& host, const SiteName& site, const std::string& id) {
  auto row = TRY(host.store.release(site, id));
  if (!row)
    return fail(
        Code::corrupt, cat("site '", site.str(), "': release ", id, " is not in the store"));
  return load(host, std::move(*row));
}

Result<LoadedRelease> load_live(HostContext& host, const SiteName& site) {
  const auto row = TRY(host.store.site(site));
  if (!row || row->live.empty())
    return fail(Code::not_found, cat("site '", site.str(), "' has no live release"));
  return load(host, site, row->live);
}

Result<std::optional<store::Release>> live_row(HostContext& host, const store::SiteRow& site) {
  if (site.live.empty())
    return std::optional<store::Release>();
  return host.store.release(site.site, site.live);
}

Result<std::vector<PlannedService>> plan_services(HostContext& host, const config::Site& site) {
  std::vector<PlannedService> planned;
  for (const auto& service : site.services) {
    ServiceKind kind =
        TRY_IN(cat("service '", service.name.str(), "'"), find_kind(host, site, service));
    planned.push_back({service, std::move(kind)});
  }
  return planned;
}

openrc::SlotName slot_name(const LoadedRelease& release, const PlannedService& p, uint32_t index) {
  return {release.row.site, p.service.name, release.row.slot,
      p.service.worker && index == 0 ? 1 : index};
}

std::string slot_socket(
    const HostContext& host, const LoadedRelease& release, const PlannedService& p) {
  return openrc::slot_socket(host.paths, {release.row.site, p.service.name, release.row.slot});
}

ServiceContext context_of(const HostContext& host, const LoadedRelease& release,
    const PlannedService& p, const PortVariables& ports) {
  return {&release.site, &p.service, release.row.version, release.dir(host.paths), release.row.slot,
      p.port, release.user, ports, &p.kind};
}

std::string unserved_text(const std::string& name) {
  return cat("no server in nginx/templates answers to '", name,
      "': its visitors get this host's default page");
}

std::vector<std::string> secret_files(const config::Service& service) {
  std::vector<std::string> files;
  for (const auto& file : {service.secrets_config, service.secrets_env})
    if (file)
      files.push_back(cat(service.folder(), "/", *file));
  return files;
}

bool uses_secrets(const config::Site& site) {
  return site.tls.mode == config::Tls::Mode::provided ||
      std::ranges::any_of(site.services, [](const auto& s) { return !secret_files(s).empty(); });
}

std::vector<std::string> missing_secrets(HostContext& host, const config::Site& site) {
  std::vector<std::string> missing;
  if (!uses_secrets(site))
    return missing;
  const auto loaded = secrets::loaded_files(host.paths, site.slug);
  for (const auto& service : site.services)
    for (auto& file : secret_files(service))
      if (std::ranges::find(loaded, file) == loaded.end() &&
          std::ranges::find(missing, file) == missing.end())
        missing.push_back(std::move(file));
  return missing;
}

std::vector<std::string> services_of(
    const config::Site& site, const std::vector<std::string>& files) {
  std::vector<std::string> services;
  for (const auto& service : site.services)
    if (std::ranges::any_of(secret_files(service),
            [&](const auto& file) { return std::ranges::find(files, file) != files.end(); }))
      services.push_back(service.name.str());
  return services;
}

} // namespace chillbox::rollout
