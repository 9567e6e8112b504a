#include "rollout/site_command.hpp"
#include "rollout/ports.hpp"

#include "base/text.hpp"
#include "rollout/trust.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

// The first service that runs, else the first worker, else whatever there is.
const PlannedService* main_service(const std::vector<PlannedService>& services) {
  const auto listens = std::ranges::find_if(services, [](const auto& p) { return p.listens(); });
  if (listens != services.end())
    return &*listens;
  const auto worker =
      std::ranges::find_if(services, [](const auto& p) { return p.service.worker; });
  return worker != services.end() ? &*worker : services.empty() ? nullptr : &services.front();
}

} // namespace

Result<openrc::SlotSpec> site_command(
    HostContext& host, const SiteName& site, const std::string& line) {
  const auto row = TRY(host.store.site(site));
  if (!row || row->live.empty())
    return fail(Code::not_found, cat("site '", site.str(), "' has no live release"));
  if (row->stopped)
    return fail(Code::conflict,
        cat("site '", site.str(), "' is stopped: `chillboxctl start ", site.str(), "`"));
  auto live = TRY(live_row(host, *row));
  if (!live)
    return fail(Code::corrupt,
        cat("site '", site.str(), "': live release ", row->live, " is not in the store"));
  TRY(check_live(host, *live));
  auto release = TRY(load(host, std::move(*live)));
  if (const auto missing = missing_secrets(host, release.site); !missing.empty())
    return fail(Code::sealed, cat("waits for ", join(missing, ", "), ": `chillboxctl unlock`"));
  auto known = *row; // it has their ports: nothing is written
  TRY(assign_ports(host, known, release));
  const auto ports = TRY(port_variables(release));
  static const PlannedService k_none{
      .service = {.name = ServiceName::parse("cron").value()}, .kind = {}};
  const auto* found = main_service(release.services);
  const PlannedService& p = found == nullptr ? k_none : *found;
  openrc::SlotSpec spec{.name = slot_name(release, p)};
  spec.release = release.row.id;
  std::string text = TRY(
      config::expand_command(line, site_variables(host, release.site, release.row.version, ports)));
  spec.argv = {"/bin/sh", "-c", std::move(text)};
  spec.env = TRY(service_environment(host, context_of(host, release, p, ports)));
  for (const auto& [name, value] : {std::pair{"SHELL", std::string("/bin/sh")},
           std::pair{"USER", release.user.name}, std::pair{"LOGNAME", release.user.name}})
    if (std::ranges::none_of(spec.env, [&](const auto& pair) { return pair.first == name; }))
      spec.env.emplace_back(name, value);
  spec.cwd = release.dir(host.paths);
  spec.user = release.user.name;
  spec.limits = limits_of(host, release.site, p.service);
  spec.log = host.paths.logs_of(site) + "/cron.log";
  spec.log_size = host.config.log_size;
  spec.log_files = host.config.log_files;
  return spec;
}

} // namespace chillbox::rollout
