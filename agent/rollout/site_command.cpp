// What an entry of a crontab runs: in the live release, in the environment of the site's main
// service.
#include "rollout/steps.hpp"

#include "base/text.hpp"
#include "rollout/trust.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

// The first service that runs, else the first worker, else whatever there is.
const PlannedService* main_service(const std::vector<PlannedService>& services) {
  const auto listens = std::ranges::find_if(
      services, [](const auto& p) { return p.kind.listens != ServiceKind::Listens::no; });
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
  const auto release = TRY(host.store.release(site, row->live));
  if (!release)
    return fail(Code::corrupt,
        cat("site '", site.str(), "': live release ", row->live, " is not in the store"));
  TRY(check_live(host, *release));
  JobControl control;
  JobContext r(host, store::Job{.site = site}, control);
  r.row = *row;
  r.release = *release;
  TRY(load_release(r));
  if (const auto missing = missing_secrets(host, r.site); !missing.empty())
    return fail(Code::sealed, cat("waits for ", join(missing, ", "), ": `chillboxctl unlock`"));
  TRY(assign_ports(host, r.row, r.services, r.release.slot)); // it has them: nothing is written
  const auto ports = TRY(port_variables(r.site, r.services));
  static const PlannedService k_none{
      .service = {.name = ServiceName::parse("cron").value()}, .kind = {}};
  const auto* found = main_service(r.services);
  const PlannedService& p = found == nullptr ? k_none : *found;
  const ServiceContext place{
      &r.site, &p.service, release->version, r.release_dir(), release->slot, p.port, r.user, ports};
  openrc::SlotSpec spec{.name = slot_name(r.site, p, release->slot, 0)};
  spec.release = release->id;
  std::string text =
      TRY(config::expand_command(line, site_variables(host, r.site, release->version, ports)));
  spec.argv = {"/bin/sh", "-c", std::move(text)};
  spec.env = TRY(service_environment(host, place));
  for (const auto& [name, value] : {std::pair{"SHELL", std::string("/bin/sh")},
           std::pair{"USER", r.user.name}, std::pair{"LOGNAME", r.user.name}})
    if (std::ranges::none_of(spec.env, [&](const auto& pair) { return pair.first == name; }))
      spec.env.emplace_back(name, value);
  spec.cwd = r.release_dir();
  spec.user = r.user.name;
  spec.limits = limits_of(host, r.site, p.service);
  spec.log = host.paths.logs_of(site) + "/cron.log";
  spec.log_size = host.config.log_size;
  spec.log_files = host.config.log_files;
  return spec;
}

} // namespace chillbox::rollout
