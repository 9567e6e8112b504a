#include "rollout/preflight.hpp"
#include "rollout/assets.hpp"
#include "rollout/build.hpp"
#include "rollout/capacity.hpp"
#include "rollout/ports.hpp"
#include "rollout/provided_certificate.hpp"
#include "rollout/prune.hpp"
#include "rollout/redis.hpp"
#include "rollout/roster.hpp"
#include "rollout/secret_set.hpp"
#include "rollout/service_environment.hpp"
#include "rollout/shared_data.hpp"
#include "rollout/site_command.hpp"
#include "rollout/snapshots.hpp"
#include "rollout/steps.hpp"
#include "rollout/switch_traffic.hpp"

#include "base/text.hpp"
#include "config/service.hpp"
#include "os/job_user.hpp"
#include "os/port.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <future>
#include <map>
#include <optional>

namespace chillbox::rollout {
namespace {

using Problems = std::vector<std::string>;

void check_hosts(JobContext& r, Problems& problems) {
  for (const auto& host : r.release.site.domains) {
    const auto owner = r.host.store.host_owner(host, r.job.site);
    if (owner && *owner)
      problems.push_back(cat("host name '", host, "' belongs to site '", **owner, "'"));
  }
}

void check_secrets(JobContext& r, Problems& problems) {
  const auto missing = missing_secrets(r.host, r.release.site);
  if (const auto good = check_secret_variables(r.host, r.release.site); missing.empty() && !good)
    problems.push_back(good.error().message);
  for (const auto& file : missing)
    problems.push_back(
        cat("secret '", file, "' is not in the site's secret set: ", k_send_secrets));
}

std::string staged(const JobContext& r) {
  return cat(r.stage_dir(), "/", r.job.site.str());
}

void check_assets(JobContext& r, Problems& problems) {
  std::ranges::move(
      foreign_assets(r.host, r.release.site, r.host.disk.exists(staged(r) + "/nginx/templates")),
      std::back_inserter(problems));
}

void check_folder(JobContext& r, const config::Service& service, bool hashed, Problems& problems) {
  const std::string& name = service.folder();
  for (const auto& [path, folder] : service.web.paths)
    if (!data_folder(folder) && !r.host.disk.exists(cat(staged(r), "/", folder)))
      problems.push_back(cat("service '", name, "': paths: ", path, ": no folder '", folder,
          "' in the artifact: make it before packing (Django: manage.py collectstatic)"));
  const bool elsewhere = hashed && r.host.disk.exists(cat(staged(r), "/immutable/", name));
  if (!r.host.disk.exists(cat(staged(r), "/", name)) && !elsewhere)
    problems.push_back(cat("service '", name, "': no folder '", name, "' in the artifact"));
}

bool on_this_host(HostContext& host, const std::string& program) {
  return std::ranges::any_of(std::array{"/usr/local/bin/", "/usr/bin/", "/bin/"},
      [&](const char* dir) { return host.disk.exists(dir + program); });
}

// Programs that the handler needs.
bool has_needs(JobContext& r, const PlannedService& p, Problems& problems) {
  bool complete = true;
  for (const auto& program : p.kind.needs)
    if (!on_this_host(r.host, program)) {
      problems.push_back(cat("service '", p.service.name.str(), "': lang '", p.service.lang,
          "' needs ", printable(program, 60), ", which this host does not have"));
      complete = false;
    }
  return complete;
}

// Links of the artifact stay in it; those of what NGINX serves must stay in that.
void check_published(JobContext& r, Problems& problems) {
  for (const auto& path : published_paths(r.release.services)) {
    const std::string dir = cat(staged(r), "/", path);
    if (r.host.disk.exists(dir))
      if (auto problem = published_problem(r.host, dir))
        problems.push_back(std::move(*problem));
  }
}

// As what runs will find its variables, except that nothing has a port or a slot yet.
void check_references(JobContext& r, Problems& problems) {
  const auto version = r.release.site.version ? r.release.site.version->str() : "";
  const auto place_of = [&](const PlannedService& p) {
    return ServiceContext{&r.release.site, &p.service, version, staged(r), Slot::none, 0,
        r.release.user, {}, &p.kind};
  };
  for (const auto& p : r.release.services) {
    const auto variables = run_variables(r.host, place_of(p));
    const auto add = [&](std::string_view field, const auto& expanded) {
      if (!expanded)
        problems.push_back(
            cat("service '", p.service.name.str(), "': ", field, expanded.error().message));
    };
    add("", config::expand_all(variables));
    add("run-cmd: ", config::expand_words(p.service.run_cmd, variables));
    add("args: ", config::expand_words(p.service.args, variables));
    add("release_command: ", config::expand_words(p.service.release_command, variables));
    if (p.files_only() && (!p.service.run_cmd.empty() || !p.service.args.empty()))
      problems.push_back(cat(
          "service '", p.service.name.str(), "': nothing of it runs: take run-cmd and args out"));
  }
  const auto& on = r.release.site.run_on;
  for (const auto& [field, where] :
      {std::pair{"crontab", on.crontab}, {"release_command", on.release_command}})
    if (const auto known = check_where(r.host, where); !known)
      problems.push_back(cat("run_on.", field, ": ", known.error().message));
  if (const auto* main = main_service(r.release.services); main != nullptr)
    for (const auto& line : r.release.site.crontab)
      if (const auto text = crontab_text(r.host, line, place_of(*main)); !text)
        problems.push_back(cat("crontab: ", text.error().message));
}

using ByService = std::map<std::string, Problems>;

// What the handlers' hooks are to look at: of services with all that their handler needs.
std::vector<PlannedService> check_services(JobContext& r, ByService& all) {
  std::vector<PlannedService> ready;
  for (const auto& service : r.release.site.services) {
    Problems& problems = all[service.name.str()];
    if (const auto why = config::taken_name(service.name.str()); !why.empty())
      problems.push_back(cat("service ", why));
    auto kind = find_kind(r.host, r.release.site, service);
    check_folder(r, service, !kind || kind->hashed, problems);
    if (!kind) {
      problems.push_back(cat("service '", service.name.str(), "': ", kind.error().message));
      continue;
    }
    const auto& p = r.release.services.emplace_back(PlannedService{service, std::move(*kind)});
    if (service.of.empty() && has_needs(r, p, problems) &&
        r.host.disk.exists(cat(staged(r), "/", service.name.str())))
      ready.push_back(p);
  }
  return ready;
}

using HookFindings = std::map<std::string, Findings>; // by service

// What the handlers themselves find in the unpacked artifact: wheels, programs for another libc.
// They run as a user that reads what was unpacked, which is root's, and can do nothing else with
// it.
Result<HookFindings> ask_handlers(HostContext& host, const config::Site& site,
    const std::string& tree, const std::vector<PlannedService>& services) {
  std::optional<os::JobUser> taken;
  if (host.as_root)
    taken.emplace(TRY(os::JobUser::take()));
  const os::User reader = taken ? taken->user() : os::User{"", ::geteuid(), ::getegid(), "/"};
  HookFindings all;
  for (const auto& p : services)
    all[p.service.name.str()] = preflight(host, p.kind,
        {&site, &p.service, site.version ? site.version->str() : "", tree, Slot::none, 0, reader});
  return all;
}

Result<void> take_findings(JobContext& r, Result<HookFindings> found, ByService& all) {
  for (auto& [name, its] : TRY(found))
    for (auto& p : r.release.services)
      if (p.service.name.str() == name) {
        for (const auto& problem : its.problems)
          all[name].push_back(cat("service '", name, "': ", problem));
        p.layer = std::move(its.layer);
      }
  return {};
}

// As the release would be started, in the slot that is idle now.
void check_ports(JobContext& r, Problems& problems) {
  LoadedRelease next = r.release;
  next.row.slot = other_slot(r.old ? r.old->slot : Slot::none);
  if (const auto ports = port_variables(next); !ports)
    problems.push_back(ports.error().message);
  auto row = r.row;
  if (const auto chosen = choose_ports(r.host, row, next, Ports::free_only); !chosen)
    problems.push_back(chosen.error().message);
  std::ranges::move(port_problems(r.host, next), std::back_inserter(problems));
  r.release.services = std::move(next.services);
}

// What is old may still be there: it goes before anybody is refused for it. A plan is made outside
// of the site's turn and changes nothing: there it counts as if it were gone.
Problems room_for(JobContext& r) {
  const auto look = [&r](const Pruned& gone) {
    Capacity capacity = capacity_of(r, r.staged_size);
    capacity.space.free_bytes += gone.bytes;
    capacity.space.free_inodes += gone.entries;
    return capacity_problems(capacity, r.host.paths, r.host.config.reserve_percent);
  };
  Problems problems = look({});
  if (problems.empty())
    return problems;
  if (r.journal == nullptr)
    return look(what_would_go(r.host, r.job.site));
  prune_after_job(r.host, r.job.site);
  return look({});
}

// Beside the ports that all sites have, one is one site's: who listens on an address of it would
// get the others' visitors.
std::optional<std::string> site_listening(HostContext& host, uint16_t port, const SiteName& but) {
  for (const auto& row : host.store.sites().value_or(std::vector<store::SiteRow>{})) {
    const auto text =
        row.site == but ? std::string() : host.nginx.installed(row.site).value_or(std::string());
    if (const auto ports = nginx::listen_ports(text); std::ranges::find(ports, port) != ports.end())
      return row.site.str();
  }
  return std::nullopt;
}

// NGINX itself holds the ports of its sites; on another one it would fail at the reload, silently
// (faults 114).
void check_listen(JobContext& r, const std::string& text, Problems& problems) {
  for (const uint16_t port : nginx::listen_ports(text)) {
    if (port == r.host.config.http_port || port == r.host.config.https_port)
      continue;
    if (port < 1024)
      problems.push_back(cat("nginx: listens on port ", port, ": below 1024 sites may use only ",
          r.host.config.http_port, " and ", r.host.config.https_port));
    else if (const auto owner = site_of_port(r.host, port, r.job.site))
      problems.push_back(
          cat("nginx: listens on port ", port, ", which belongs to site '", *owner, "'"));
    else if (const auto other = site_listening(r.host, port, r.job.site))
      problems.push_back(
          cat("nginx: listens on port ", port, ", on which site '", *other, "' listens"));
    else if (const auto holder = os::port_holder(port); holder && holder->name != "nginx")
      problems.push_back(
          cat("nginx: listens on port ", port, ", which is taken by ", os::describe(*holder)));
  }
}

void check_nginx(JobContext& r, Problems& problems) {
  if (r.release.services.size() != r.release.site.services.size())
    return; // a handler is missing: the text would be another
  LoadedRelease next = r.release;
  next.row.version = r.release.site.version ? r.release.site.version->str() : "";
  const auto text = render_from(r.host, next, staged(r));
  if (!text) {
    problems.push_back(cat("nginx: ", text.error().message));
    return;
  }
  r.release.row.nginx = *text;
  check_listen(r, *text, problems);
  // The site had its names for itself when it was installed; the host's own may be one of them now.
  if (const auto now = r.host.nginx.installed(r.job.site);
      now && *now == *text && r.host.nginx.ask_by_name(r.job.site, *text))
    return;
  const auto warnings = r.host.nginx.test(r.job.site, *text);
  if (!warnings)
    problems.push_back(warnings.error().message);
  for (const auto& warning : warnings.value_or(std::vector<std::string>{}))
    r.warn(cat("nginx: ", warning));
}

} // namespace

std::vector<std::string> preflight_problems(JobContext& r) {
  ByService of_services;
  Problems others;
  r.release.services.clear();
  // The hooks look while this looks at the rest.
  auto found = std::async(std::launch::async | std::launch::deferred,
      [&host = r.host, &site = r.release.site, tree = staged(r),
          ready = check_services(r, of_services)] {
        return ask_handlers(host, site, tree, ready);
      });
  check_references(r, others);
  check_published(r, others);
  check_hosts(r, others);
  check_assets(r, others);
  check_secrets(r, others);
  std::ranges::move(certificate_problems(r.host, r.release.site), std::back_inserter(others));
  check_ports(r, others);
  check_nginx(r, others);
  if (r.release.site.has_redis && !redis_program(r.host))
    others.emplace_back(k_no_redis);
  std::ranges::move(room_for(r), std::back_inserter(others));
  Problems problems;
  if (const auto taken = take_findings(r, found.get(), of_services); !taken)
    problems.push_back(taken.error().message);
  for (const auto& service : r.release.site.services)
    std::ranges::move(of_services[service.name.str()], std::back_inserter(problems));
  std::ranges::move(others, std::back_inserter(problems));
  return problems;
}

namespace {

// A service that got another name begins without its data.
void warn_of_left_data(JobContext& r) {
  if (!r.old)
    return;
  const auto old =
      read_site(r.host.disk, cat(r.host.paths.releases(r.job.site), "/", r.old->id), r.job.site);
  for (const auto& before : old ? old->services : std::vector<config::Service>{}) {
    const std::string& name = before.folder();
    const std::string dir = cat(r.host.paths.data(r.job.site), "/", name);
    const auto files = r.host.disk.list(dir);
    if (files && !files->empty() &&
        std::ranges::none_of(
            r.release.site.services, [&](const auto& service) { return service.folder() == name; }))
      r.warn(cat("service '", name, "' is gone: its data stay in ", dir,
          ", and no service of this release works with them"));
  }
}

// NGINX answers "/" with a file, if with anything. What templates do is their own business.
void warn_of_no_index(JobContext& r) {
  if (r.host.disk.exists(staged(r) + "/nginx/templates"))
    return;
  const auto& all = r.release.services;
  for (const auto& p : all) {
    const auto& web = p.service.web;
    const bool front = web.at == "/" || (web.at.empty() && all.size() == 1);
    const auto folders = published_folders(p);
    const std::string dir = cat(staged(r), "/", p.service.name.str());
    if (front && p.files_only() && !p.kind.builds && folders == std::vector<std::string>{"."} &&
        web.fallback.empty() && !r.host.disk.exists(dir + "/index.html"))
      r.warn(cat("service '", p.service.name.str(), "' has no index.html: / is a missing page"));
  }
}

Result<Next> run_preflight(JobContext& r) {
  auto problems = preflight_problems(r);
  if (const auto why = snapshot_hindrance(r)) {
    if (snapshot_required(r))
      problems.push_back(*why);
    else
      r.info(*why);
  }
  warn_of_left_data(r);
  warn_of_no_index(r);
  for (const auto& warning : limit_warnings(r.release.site))
    r.info(cat("warning: ", warning));
  if (!problems.empty())
    return fail(Code::preflight, join(problems, "\n"));
  const std::array ports{r.host.config.http_port, r.host.config.https_port};
  for (const auto& name :
      nginx::unserved(nginx::names_on(r.release.row.nginx, ports), r.release.site.domains))
    r.warn(unserved_text(name));
  return Next::proceed;
}

} // namespace

extern const Step k_preflight{.name = "preflight", .run = run_preflight, .touches_site = false};

} // namespace chillbox::rollout
