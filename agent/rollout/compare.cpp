#include "rollout/compare.hpp"
#include "rollout/service_environment.hpp"

#include "base/text.hpp"
#include "crypto/webhook.hpp"
#include "openrc/spec.hpp"
#include "rollout/ports.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <set>

namespace chillbox::rollout {
namespace {

using control::Change;
namespace fs = std::filesystem;

// Relative paths of the files and links below; where they are for reading. A link with an absolute
// target is the agent's own, to the service's data: an artifact has none. A file is all that is
// below itself.
std::map<std::string, fs::path> files_below(const std::string& dir) {
  std::map<std::string, fs::path> files;
  std::error_code error;
  if (const auto top = fs::symlink_status(dir, error); fs::exists(top) && !fs::is_directory(top))
    return {{"", dir}};
  for (auto it = fs::recursive_directory_iterator(dir, error);
      !error && it != fs::recursive_directory_iterator(); it.increment(error))
    if (it->is_symlink(error) ? !fs::read_symlink(it->path(), error).is_absolute()
                              : it->is_regular_file(error))
      files.emplace(it->path().lexically_relative(dir).string(), it->path());
  return files;
}

bool same_file(const fs::path& a, const fs::path& b) {
  std::error_code error;
  if (fs::is_symlink(a, error) || fs::is_symlink(b, error))
    return fs::is_symlink(a, error) && fs::is_symlink(b, error) &&
        fs::read_symlink(a, error) == fs::read_symlink(b, error);
  if (fs::file_size(a, error) != fs::file_size(b, error))
    return false;
  std::ifstream left(a, std::ios::binary), right(b, std::ios::binary);
  std::array<char, 64 * 1024> x{}, y{};
  while (left && right) {
    left.read(x.data(), x.size());
    right.read(y.data(), y.size());
    if (left.gcount() != right.gcount() ||
        !std::equal(x.begin(), x.begin() + left.gcount(), y.begin()))
      return false;
  }
  return true;
}

// "2 files changed, 1 added", "" when nothing is other.
std::string file_changes(const std::string& before, const std::string& after) {
  const auto old = files_below(before), now = files_below(after);
  size_t changed = 0, added = 0, removed = 0;
  for (const auto& [name, path] : now)
    if (const auto it = old.find(name); it == old.end())
      ++added;
    else
      changed += !same_file(it->second, path);
  for (const auto& [name, path] : old)
    removed += !now.contains(name);
  std::vector<std::string> words;
  const auto count = [&](size_t n, const char* what) {
    if (n > 0)
      words.push_back(cat(n, words.empty() ? (n == 1 ? " file " : " files ") : " ", what));
  };
  count(changed, "changed");
  count(added, "added");
  count(removed, "removed");
  return join(words, ", ");
}

// Twelve digits that only this host can make: they distinguish values, and reveal none of them to
// anybody who is.
std::string digest_of(HostContext& host, const std::string& value) {
  const std::string key = host.store.host_secret().value_or("");
  return hex(crypto::hmac_sha256(bytes_of(key), {"value ", value})).substr(0, 12);
}

std::vector<control::ValueChange> compare_values(HostContext& host,
    const std::map<std::string, std::string>& before,
    const std::map<std::string, std::string>& after) {
  std::vector<control::ValueChange> list;
  for (const auto& [name, value] : after)
    if (const auto it = before.find(name); it == before.end())
      list.push_back({name, Change::added, "", digest_of(host, value)});
    else if (it->second != value)
      list.push_back({name, Change::changed, digest_of(host, it->second), digest_of(host, value)});
  for (const auto& [name, value] : before)
    if (!after.contains(name))
      list.push_back({name, Change::removed, digest_of(host, value), ""});
  return list;
}

// What the site file gives to this service, expanded, with ports as its author wrote them.
std::map<std::string, std::string> declared_values(
    HostContext& host, const config::Site& site, const PlannedService& p) {
  std::map<std::string, std::string> values;
  const auto all = config::expand_all(service_variables(host, site, p.service, &p.kind));
  for (const auto* list : {&site.env, &p.service.environment})
    for (const auto& variable : *list)
      values[variable.name] = all ? all->at(variable.name) : "";
  return values;
}

const PlannedService* find(const std::vector<PlannedService>& services, const std::string& name) {
  const auto it =
      std::ranges::find(services, name, [](const auto& p) { return p.service.name.str(); });
  return it == services.end() ? nullptr : &*it;
}

control::ServiceChange entry(const PlannedService& p, Change change) {
  return {p.service.name.str(), p.service.lang, change, {}, {}};
}

std::vector<std::string> field_changes(const config::Service& a, const config::Service& b) {
  std::vector<std::string> why;
  const auto field = [&](const char* name, bool same) {
    if (!same)
      why.emplace_back(name);
  };
  field("lang", a.lang == b.lang);
  field("secrets_config", a.secrets_config == b.secrets_config);
  field("secrets_env", a.secrets_env == b.secrets_env);
  field("worker", a.worker == b.worker);
  field("of", a.of == b.of);
  field("run-cmd", a.run_cmd == b.run_cmd);
  field("args", a.args == b.args);
  field("count", a.count == b.count);
  field("niceness", a.niceness == b.niceness);
  field("stop_timeout", a.stop_timeout == b.stop_timeout);
  field("workers",
      a.workers == b.workers && a.workers_minimum == b.workers_minimum &&
          a.workers_maximum == b.workers_maximum);
  field("threads", a.threads == b.threads);
  field("preload", a.preload == b.preload);
  field("worker_class", a.worker_class == b.worker_class);
  field("max_requests",
      a.max_requests == b.max_requests && a.max_requests_jitter == b.max_requests_jitter);
  field("log_level", a.log_level == b.log_level);
  field("app", a.app == b.app);
  field("listen", a.listen == b.listen);
  field("strategy", a.strategy == b.strategy);
  field("release_command", a.release_command == b.release_command);
  field("health",
      a.health.path == b.health.path && a.health.deadline == b.health.deadline &&
          a.health.count == b.health.count && a.health.interval == b.health.interval &&
          a.health.timeout == b.health.timeout && a.health.declared == b.health.declared);
  field("at, paths or another field of the web side", a.web == b.web);
  field("resources",
      a.resources.memory_max == b.resources.memory_max &&
          a.resources.cpu_max == b.resources.cpu_max && a.resources.cpus == b.resources.cpus &&
          a.resources.tasks_max == b.resources.tasks_max);
  return why;
}

} // namespace

std::vector<control::ServiceChange> compare_services(HostContext& host, const LoadedRelease& old,
    const LoadedRelease& now, const std::string& now_tree) {
  const std::string old_tree = old.dir(host.paths);
  std::vector<control::ServiceChange> list;
  for (const auto& p : now.services) {
    const std::string& name = p.service.name.str();
    const auto* before = find(old.services, name);
    auto one = entry(p, before == nullptr ? Change::added : Change::none);
    one.environment = compare_values(host,
        before ? declared_values(host, old.site, *before) : std::map<std::string, std::string>{},
        declared_values(host, now.site, p));
    if (before != nullptr) {
      one.why = field_changes(before->service, p.service);
      if (const auto files = file_changes(
              cat(old_tree, "/", before->service.folder()), cat(now_tree, "/", p.service.folder()));
          !files.empty())
        one.why.push_back(files);
      if (!one.why.empty() || !one.environment.empty())
        one.change = Change::changed;
    }
    list.push_back(std::move(one));
  }
  for (const auto& p : old.services)
    if (find(now.services, p.service.name.str()) == nullptr)
      list.push_back(entry(p, Change::removed));
  return list;
}

namespace {

// Fields of the site itself; its services, host names and crontab have members of their own.
std::vector<std::string> site_changes(const config::Site& a, const config::Site& b) {
  std::vector<std::string> changed;
  const auto field = [&](const char* name, bool same) {
    if (!same)
      changed.emplace_back(name);
  };
  field("name", a.title == b.title);
  field(
      "contact", a.contact_owner == b.contact_owner && a.contact_technical == b.contact_technical);
  field("server_name", a.server_name == b.server_name);
  field("aliases", a.aliases == b.aliases);
  field("redis", a.has_redis == b.has_redis && a.redis == b.redis);
  field("run_on",
      a.run_on.crontab == b.run_on.crontab && a.run_on.release_command == b.run_on.release_command);
  field("watch", a.watch == b.watch);
  field("keep_releases", a.keep_releases == b.keep_releases);
  field("store", a.confidential == b.confidential);
  field("status_page", a.status_page == b.status_page);
  field("tls", a.tls == b.tls);
  return changed;
}

// What lies in a tree next to the services' folders, the site file and what was built.
std::set<std::string> names_beside(const LoadedRelease& release, const std::string& tree) {
  std::set<std::string> names;
  std::error_code error;
  for (auto it = fs::directory_iterator(tree, error); !error && it != fs::directory_iterator();
      it.increment(error))
    names.insert(it->path().filename().string());
  for (const auto& p : release.services)
    names.erase(p.service.folder());
  names.erase(".chillbox");
  names.erase(site_file(release));
  return names;
}

} // namespace

std::string site_file(const LoadedRelease& release) {
  return release.row.site.str() + ".site.json";
}

std::vector<std::string> compare_rest(HostContext& host, const LoadedRelease& old,
    const LoadedRelease& now, const std::string& now_tree) {
  const std::string old_tree = old.dir(host.paths);
  auto changed = site_changes(old.site, now.site);
  auto names = names_beside(now, now_tree);
  names.merge(names_beside(old, old_tree));
  for (const auto& name : names)
    if (const auto files = file_changes(cat(old_tree, "/", name), cat(now_tree, "/", name));
        !files.empty())
      changed.push_back(cat(name, ": ", files));
  return changed;
}

bool same_site_file(HostContext& host, const LoadedRelease& old, const std::string& now_tree) {
  const std::string name = site_file(old);
  return same_file(cat(old.dir(host.paths), "/", name), cat(now_tree, "/", name));
}

namespace {

// Why what runs of this service is not what a restart would run.
void compare_copies(HostContext& host, const LoadedRelease& live, const PlannedService& p,
    const PortVariables& ports, control::ServiceChange& one) {
  for (const uint32_t index : p.indexes()) {
    const auto slot = slot_name(live, p, index);
    const auto state = host.slots.state(slot).value_or(openrc::SlotState::stopped);
    if (state != openrc::SlotState::started)
      one.why.push_back(cat(slot.str(), " is ", openrc::name(state)));
    else if (const auto runs = host.slots.release_in(slot); runs != live.row.id)
      one.why.push_back(cat(slot.str(), " runs release '", printable(runs, 60), "'"));
  }
  const auto spec = host.slots.spec_of(slot_name(live, p).str());
  const auto would = service_environment(host, context_of(host, live, p, ports));
  if (spec && would) {
    std::map<std::string, std::string> runs(spec->env.begin(), spec->env.end()),
        next(would->begin(), would->end());
    runs.erase("CHILLBOX_WORKER");
    next.erase("CHILLBOX_WORKER");
    one.environment = compare_values(host, runs, next);
  }
  if (!one.why.empty() || !one.environment.empty())
    one.change = Change::changed;
}

} // namespace

std::vector<control::ServiceChange> running_services(HostContext& host, const LoadedRelease& live) {
  std::vector<control::ServiceChange> list;
  const auto ports = port_variables(live).value_or(PortVariables{});
  for (const auto& p : live.services) {
    auto one = entry(p, Change::none);
    if (!p.files_only())
      compare_copies(host, live, p, ports, one);
    list.push_back(std::move(one));
  }
  return list;
}

std::vector<std::string> drift(HostContext& host, const LoadedRelease& live) {
  std::vector<std::string> list;
  const auto& paths = host.paths;
  const auto& row = live.row;
  const auto link = [&](const std::string& path, const std::string& wanted) {
    const auto now = host.disk.read_link(path).value_or(std::nullopt);
    if (now != wanted)
      list.push_back(cat(path, now ? cat(" points to ", printable(*now, 200)) : " does not exist",
          ", the store says ", wanted));
  };
  link(paths.current(row.site), "releases/" + row.id);
  for (const auto& p : live.services)
    if (p.kind.listens == ServiceKind::Listens::on_socket)
      link(paths.live_socket(row.site, p.service.name.str()), slot_socket(host, live, p));
  if (const auto digest = host.disk.tree_digest(live.dir(paths)); digest && *digest != row.digest)
    list.push_back(cat(live.dir(paths), " was changed since it was built: deploy it again"));
  if (host.nginx.installed(row.site).value_or("") != row.nginx)
    list.push_back("the NGINX file is not the one with which this release went live");
  if (const auto set = host.store.secret_set(row.site);
      set && *set && (*set)->sha256 != row.secrets)
    list.push_back("the services were started with another secret set than the newest");
  return list;
}

} // namespace chillbox::rollout
