#include "rollout/site_command.hpp"
#include "rollout/data_exchange.hpp"
#include "rollout/ports.hpp"
#include "rollout/service_environment.hpp"

#include "base/text.hpp"
#include "config/crontab.hpp"
#include "config/references.hpp"
#include "rollout/trust.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

// Not each shell's exec says 126 of what is there and cannot be run.
constexpr std::string_view k_run_words =
    "if [ -d \"$1\" ] || { [ -e \"$1\" ] && [ ! -x \"$1\" ]; }; then case $1 in */*) "
    "printf '%s: not a program\\n' \"$1\" >&2; exit 126 ;; esac; fi; exec \"$@\"";

} // namespace

const PlannedService* main_service(const std::vector<PlannedService>& services) {
  std::vector<config::Candidate> candidates;
  for (const auto& p : services)
    candidates.push_back({&p.service, p.listens()});
  const auto* chosen = config::main_service(candidates);
  const auto found =
      std::ranges::find_if(services, [&](const auto& p) { return &p.service == chosen; });
  return found == services.end() ? nullptr : &*found;
}

Result<std::string> crontab_text(
    HostContext& host, const std::string& line, const ServiceContext& place) {
  return config::expand_command(
      TRY(config::parse_cron_line(line)).command, run_variables(host, place));
}

namespace {

// null: the site has no service, and the command needs none.
Result<const PlannedService*> service_of(
    const LoadedRelease& release, const cron::SiteCommand& command) {
  if (command.service.empty())
    return main_service(release.services);
  std::vector<std::string> names;
  for (const auto& p : release.services) {
    if (p.service.name.str() == command.service)
      return &p;
    names.push_back(p.service.name.str());
  }
  return fail(Code::not_found,
      cat("no service '", printable(command.service, 60), "' in ", release.site.slug.str(),
          " (there is: ", join(names, ", "), ")"));
}

} // namespace

Result<openrc::SlotSpec> site_command(
    HostContext& host, const SiteName& site, const cron::SiteCommand& command) {
  const auto row = TRY(host.store.site(site));
  if (!row || row->live.empty())
    return fail(Code::not_found, cat("site '", site.str(), "' has no live release"));
  if (row->stopped)
    return fail(Code::conflict,
        cat("site '", site.str(), "' is stopped: `chillboxctl start ", site.str(), "`"));
  if (data_moves(host, site))
    return fail(Code::busy, cat("the data of '", site.str(), "' are being rolled back"));
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
  const auto* found = TRY(service_of(release, command));
  const PlannedService& p = found == nullptr ? k_none : *found;
  openrc::SlotSpec spec{.name = slot_name(release, p)};
  spec.release = release.row.id;
  const auto place = context_of(host, release, p, ports);
  if (command.words.empty()) {
    spec.argv = {
        "/bin/sh", "-c", TRY(config::expand_command(command.line, run_variables(host, place)))};
  } else { // the shell looks for the program, and says 126 or 127 as people know it
    spec.argv = {"/bin/sh", "-c", std::string(k_run_words), "sh"};
    spec.argv.insert(spec.argv.end(), command.words.begin(), command.words.end());
  }
  spec.env = TRY(service_environment(host, place));
  spec.secrets_env = secrets_env_path(host, place);
  for (const auto& [name, value] : {std::pair{"SHELL", std::string("/bin/sh")},
           std::pair{"USER", release.user.name}, std::pair{"LOGNAME", release.user.name}})
    if (std::ranges::none_of(spec.env, [&](const auto& pair) { return pair.first == name; }))
      spec.env.emplace_back(name, value);
  spec.cwd = release.dir(host.paths);
  if (!command.words.empty() && found != nullptr)
    spec.cwd += cat("/", p.service.folder());
  spec.user = release.user.name;
  spec.limits = limits_of(host, release.site, p.service);
  spec.log = host.paths.logs_of(site) + "/cron.log";
  spec.log_size = host.config.log_size;
  spec.log_files = host.config.log_files;
  return spec;
}

} // namespace chillbox::rollout
