#include "rollout/steps.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

using Problems = std::vector<std::string>;

void check_space(Rollout& r, Problems& problems) {
  const auto tree = r.world.disk.measure(r.stage_dir());
  const auto space = r.world.disk.space(r.world.paths.sites());
  if (!tree || !space)
    return; // told by the step that needs it
  const uint64_t reserve = space->total_bytes / 100 * r.world.config.reserve_percent;
  const uint64_t need = tree->bytes * 2 + reserve;
  if (space->free_bytes < need)
    problems.push_back(cat("no space on the disk of ", r.world.paths.sites(), ": need ", human_size(need), " (twice the release and ",
                           r.world.config.reserve_percent, " % reserve), have ", human_size(space->free_bytes)));
  if (space->total_inodes != 0 && space->free_inodes < tree->entries * 2)
    problems.push_back(cat("no inodes on the disk of ", r.world.paths.sites(), ": need ", tree->entries * 2, ", have ",
                           space->free_inodes));
}

void check_memory(Rollout& r, Problems& problems) {
  uint64_t wanted = 0;
  for (const auto& service : r.site.services)
    wanted += service.resources.memory_max * service.count;
  const auto text = r.world.disk.read("/proc/meminfo", 16 * 1024);
  if (wanted == 0 || !text)
    return;
  const auto at = text->find("MemAvailable:");
  if (at == std::string::npos)
    return;
  const auto line = split(std::string_view(*text).substr(at + 13), '\n')[0];
  const auto number = parse_u64(split(trim(line), ' ')[0]);
  if (number && *number * 1024 < wanted)
    problems.push_back(cat("no memory for a second copy: the services may use ", human_size(wanted), " (resources.memory_max), available are ",
                           human_size(*number * 1024)));
}

void check_hosts(Rollout& r, Problems& problems) {
  for (const auto& host : r.site.domains) {
    const auto owner = r.world.store.host_owner(host, r.job.site);
    if (owner && *owner)
      problems.push_back(cat("host name '", host, "' belongs to site '", **owner, "'"));
  }
}

void check_user(Rollout& r, Problems& problems) {
  if (!r.world.stager)
    return; // tests without root make no users
  // The home tells: it is where user-add puts the users that chillbox makes, also for a site that was removed and comes back.
  const auto user = os::find_user(r.job.site.str());
  if (user && user->home != r.world.paths.data(r.job.site))
    problems.push_back(cat("a user named '", r.job.site.str(), "' exists on this host and was not made by chillbox: choose another site name"));
}

void check_secrets(Rollout& r, Problems& problems) {
  for (const auto& file : missing_secrets(r.world, r.site))
    problems.push_back(cat("secret '", file, "' is not in the site's secret set: send it with `chillboxctl secrets pack` and `deploy`"));
}

void plan(Rollout& r, Problems& problems) {
  for (const auto& service : r.site.services) {
    auto kind = find_kind(r.world, r.site, service);
    if (!kind)
      problems.push_back(cat("service '", service.name.str(), "': ", kind.error().message));
    const std::string dir = cat(r.stage_dir(), "/", r.job.site.str(), "/", service.name.str());
    const bool elsewhere = service.lang == "immutable" && r.world.disk.exists(cat(r.stage_dir(), "/", r.job.site.str(), "/immutable/", service.name.str()));
    if (!r.world.disk.exists(dir) && !elsewhere)
      problems.push_back(cat("service '", service.name.str(), "': no folder '", service.name.str(), "' in the artifact"));
    if (kind)
      r.services.push_back({service, std::move(*kind)});
  }
  if (const auto ports = port_variables(r.site, r.services); !ports)
    problems.push_back(ports.error().message);
}

} // namespace

Result<std::vector<PlannedService>> plan_services(World& world, const config::Site& site) {
  std::vector<PlannedService> planned;
  for (const auto& service : site.services) {
    Kind kind = TRY_IN(cat("service '", service.name.str(), "'"), find_kind(world, site, service));
    planned.push_back({service, std::move(kind)});
  }
  return planned;
}

std::vector<std::string> missing_secrets(World& world, const config::Site& site) {
  const auto staged = secrets::staged_files(world.paths, site.slug);
  std::vector<std::string> missing;
  for (const auto& service : site.services)
    if (service.secrets_config) {
      const std::string file = cat(service.name.str(), "/", *service.secrets_config);
      if (std::ranges::find(staged, file) == staged.end())
        missing.push_back(file);
    }
  return missing;
}

Result<Next> run_preflight(Rollout& r) {
  Problems problems;
  r.services.clear();
  plan(r, problems);
  check_hosts(r, problems);
  check_user(r, problems);
  check_secrets(r, problems);
  check_space(r, problems);
  check_memory(r, problems);
  if (problems.empty())
    return Next::go_on;
  for (size_t i = 1; i < problems.size(); ++i)
    r.output(problems[i]);
  const std::string rest = problems.size() > 1 ? cat(" (and ", problems.size() - 1, " more)") : "";
  return fail(Code::preflight, problems[0] + rest);
}

} // namespace chillbox::rollout
