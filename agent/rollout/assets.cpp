#include "rollout/assets.hpp"

#include "base/text.hpp"
#include "os/root_owned.hpp"
#include "rollout/redis.hpp"

#include <unistd.h>

namespace chillbox::rollout {
namespace {

constexpr const char* k_user = "user";
constexpr const char* k_group = "group";
constexpr const char* k_directory = "directory";

std::string taken(std::string_view kind, const std::string& name, const SiteName& site) {
  return cat(kind, " '", printable(name, 200), "' exists on this host and was not made for site '",
      site.str(), "': choose another site name, or ",
      kind == k_user || kind == k_group ? cat("remove the ", kind) : std::string("move it away"));
}

std::optional<uint64_t> number(const std::string& text) {
  return text.empty() ? std::nullopt
                      : std::optional<uint64_t>(std::strtoull(text.c_str(), nullptr, 10));
}

// "" or what is wrong with it.
std::string changed(std::string_view kind, const store::Asset& record, uint64_t id) {
  const auto made = number(record.id);
  if (!made || *made == id)
    return {};
  return cat(kind, " '", record.name, "' has id ", id, " now, and was made for the site with ",
      *made, ": somebody made another one; give it that id, or remove it");
}

// User and group as the host and the store have them.
struct People {
  std::optional<os::User> user;
  std::optional<gid_t> gid;
  std::optional<store::Asset> user_row, group_row;
  bool whole() const {
    return user && gid && user_row && group_row && !user_row->id.empty() && !group_row->id.empty();
  }
};

Result<People> people_of(HostContext& host, const SiteName& site) {
  People people;
  people.user_row = TRY(host.store.asset(site, k_user, site.str()));
  people.group_row = TRY(host.store.asset(site, k_group, site.str()));
  if (auto user = os::find_user(site.str()))
    people.user = std::move(*user);
  else if (user.error().code != Code::not_found)
    return std::unexpected(user.error());
  if (const auto gid = os::find_group(site.str()))
    people.gid = *gid;
  else if (gid.error().code != Code::not_found)
    return std::unexpected(gid.error());
  return people;
}

// As user-add makes one.
bool is_made_by_us(
    const os::User& user, const os::Paths& paths, const SiteName& site, gid_t group) {
  return user.uid != 0 && user.home == paths.data(site) && user.gid == group;
}

std::vector<std::string> wrong_people(
    HostContext& host, const People& people, const SiteName& site) {
  std::vector<std::string> problems;
  const auto look = [&](const char* kind, bool there, const std::optional<store::Asset>& row,
                        uint64_t id) {
    std::string problem;
    if (there)
      problem = row ? changed(kind, *row, id) : taken(kind, site.str(), site);
    if (!problem.empty())
      problems.push_back(std::move(problem));
  };
  look(k_user, people.user.has_value(), people.user_row, people.user ? people.user->uid : 0);
  look(k_group, people.gid.has_value(), people.group_row, people.gid.value_or(0));
  if (problems.empty() && people.user &&
      !is_made_by_us(*people.user, host.paths, site, people.gid.value_or(0)))
    problems.push_back(cat("user '", site.str(), "' is not as chillbox made it: its home must be ",
        host.paths.data(site), ", its group '", site.str(), "'"));
  return problems;
}

Result<os::Exit> run_hook(HostContext& host, const char* hook, std::vector<std::string> arguments) {
  os::Command c;
  c.argv = {os::host_hook(host.paths, hook)};
  c.argv.insert(c.argv.end(), arguments.begin(), arguments.end());
  c.timeout = os::Millis{30'000};
  return host.runner.run(c);
}

Result<void> remove_people(
    HostContext& host, const SiteName& site, const std::string& uid, const std::string& gid) {
  const auto exit = TRY_IN("user-remove",
      run_hook(
          host, "user-remove", {site.str(), uid.empty() ? "-" : uid, gid.empty() ? "-" : gid}));
  constexpr int k_still_runs = 7; // chillbox-hooks(7)
  if (exit.ok())
    return {};
  return fail(exit.code == k_still_runs ? Code::busy : Code::failure,
      cat("remove user '", site.str(), "': ", printable(trim(exit.err)),
          exit.code == k_still_runs ? ", such as a backup: remove it again when they have ended"
                                    : ""));
}

Result<void> record_people(
    HostContext& host, const SiteName& site, const std::string& uid, const std::string& gid) {
  return host.store.put_assets({{site, k_user, site.str(), uid}, {site, k_group, site.str(), gid}});
}

Result<os::User> make_user(HostContext& host, const SiteName& site, const People& before) {
  if (before.gid) // a crash left it without its user, or somebody removed that one
    TRY(remove_people(host, site, "", before.group_row->id));
  TRY(record_people(host, site, "", ""));
  const auto exit =
      TRY_IN("user-add", run_hook(host, "user-add", {"--new", site.str(), host.paths.data(site)}));
  if (!exit.ok()) {
    constexpr int k_there = 4;
    if (exit.code == k_there) // since we looked
      for (const char* kind : {k_user, k_group})
        TRY(host.store.delete_asset({site, kind, site.str(), ""}));
    return fail(exit.code == k_there ? Code::conflict : Code::failure,
        cat("make user '", site.str(), "': ", printable(trim(exit.err))));
  }
  return os::find_user(site.str());
}

// Whom a directory of the site must belong to.
bool is_as_made(os::Disk& disk, const std::string& path, const os::Found& found, uid_t uid) {
  if (!found.directory)
    return false;
  if (found.owner.uid == uid)
    return true;
  const auto names = disk.list(path);
  return found.owner.uid == ::geteuid() && names &&
      names->empty(); // a crash came before it was given away
}

// "" or why it is not the site's. Nothing there is fine.
Result<std::string> wrong_directory(
    HostContext& host, const SiteName& site, const std::string& path) {
  const auto found = TRY(host.disk.find(path));
  if (!found)
    return std::string();
  if (!TRY(host.store.asset(site, k_directory, path)))
    return taken(found->directory ? k_directory : "file", path, site);
  if (found->directory && path == nginx_cache(host.paths, site))
    return std::string();
  uid_t owner = ::geteuid();
  if (path == host.paths.data(site))
    if (const auto row = TRY(host.store.asset(site, k_user, site.str())))
      owner = static_cast<uid_t>(number(row->id).value_or(owner));
  if (is_as_made(host.disk, path, *found, owner))
    return std::string();
  return cat("directory '", path, "' is recorded as made for site '", site.str(),
      "', but belongs to uid ", found->owner.uid, " now, not to ", owner,
      ": chown it back, or move it away");
}

// Redis's own place for sockets: only a link to the site's socket is the site's.
std::string wrong_socket(HostContext& host, const SiteName& site) {
  const std::string path = redis_link(host.paths, site);
  const auto link = host.disk.read_link(path);
  return host.disk.exists(path) && !(link && is_redis_socket(host.paths, site, link->value_or("")))
      ? taken("file", path, site)
      : std::string();
}

} // namespace

std::string nginx_logs(const os::Paths& paths, const SiteName& site) {
  return cat(paths.root, "/var/log/nginx/", site.str());
}
std::string nginx_cache(const os::Paths& paths, const SiteName& site) {
  return cat(paths.root, "/var/cache/nginx/", site.str());
}
std::string source_dir(const os::Paths& paths, const SiteName& site) {
  return cat(paths.root, "/usr/local/src/", site.str());
}
std::string srv_dir(const os::Paths& paths, const SiteName& site) {
  return cat(paths.root, "/srv/", site.str());
}

std::vector<std::string> foreign_assets(
    HostContext& host, const config::Site& site, bool compatible) {
  std::vector<std::string> problems;
  if (host.as_root) { // tests without root make no users
    const auto people = people_of(host, site.slug);
    problems =
        people ? wrong_people(host, *people, site.slug) : std::vector{people.error().message};
  }
  std::vector<std::string> directories{
      host.paths.data(site.slug), nginx_logs(host.paths, site.slug)};
  if (compatible)
    directories.insert(directories.end(),
        {srv_dir(host.paths, site.slug), source_dir(host.paths, site.slug),
            nginx_cache(host.paths, site.slug)});
  for (const auto& path : directories) {
    auto wrong = wrong_directory(host, site.slug, path);
    if (!wrong || !wrong->empty())
      problems.push_back(wrong ? std::move(*wrong) : wrong.error().message);
  }
  if (site.has_redis)
    if (auto wrong = wrong_socket(host, site.slug); !wrong.empty())
      problems.push_back(std::move(wrong));
  return problems;
}

Result<os::User> claim_user(HostContext& host, const SiteName& site) {
  const auto people = TRY(people_of(host, site));
  if (const auto problems = wrong_people(host, people, site); !problems.empty())
    return fail(Code::conflict, problems[0]);
  if (people.whole())
    return *people.user;
  const os::User user =
      people.user && people.gid ? *people.user : TRY(make_user(host, site, people));
  TRY(record_people(host, site, std::to_string(user.uid), std::to_string(user.gid)));
  return user;
}

Result<void> claim_directory(HostContext& host, const SiteName& site, const std::string& path) {
  if (const auto wrong = TRY(wrong_directory(host, site, path)); !wrong.empty())
    return fail(Code::conflict, wrong);
  const store::Asset asset{site, k_directory, path, ""};
  if (host.disk.exists(path))
    return {};
  TRY(host.store.put_assets({asset}));
  const auto made = host.disk.make_new_dir(path);
  if (!made && made.error().code == Code::conflict) // since we looked
    TRY(host.store.delete_asset(asset));
  return made;
}

Result<void> forget_missing(HostContext& host, const SiteName& site) {
  for (const auto& asset : TRY(host.store.assets(site)))
    if (asset.kind == k_directory && !TRY(host.disk.find(asset.name)))
      TRY(host.store.delete_asset(asset));
  return {};
}

Result<void> remove_directory(HostContext& host, const SiteName& site, const std::string& path) {
  const auto asset = TRY(host.store.asset(site, k_directory, path));
  if (!asset)
    return {};
  TRY(host.disk.remove_tree(path));
  return host.store.delete_asset(*asset);
}

Result<std::vector<std::string>> remove_directories(HostContext& host, const SiteName& site) {
  std::vector<std::string> left;
  for (const auto& asset : TRY(host.store.assets(site))) {
    if (asset.kind != k_directory)
      continue;
    if (TRY(wrong_directory(host, site, asset.name)).empty())
      TRY(host.disk.remove_tree(asset.name));
    else
      left.push_back(asset.name);
    TRY(host.store.delete_asset(asset)); // last: before, a crash would leave a directory of nobody
  }
  return left;
}

Result<void> remove_user(HostContext& host, const SiteName& site) {
  const auto user = TRY(host.store.asset(site, k_user, site.str()));
  const auto group = TRY(host.store.asset(site, k_group, site.str()));
  if (!host.as_root || !user || !group)
    return {};
  TRY(remove_people(host, site, user->id, group->id));
  TRY(host.store.delete_asset(*user));
  return host.store.delete_asset(*group);
}

namespace {

bool has_link_of(os::Disk& disk, const os::Paths& paths, const SiteName& site,
    const std::string& dir, int depth) {
  for (const auto& name : disk.list(dir).value_or(std::vector<std::string>{})) {
    const auto link = disk.read_link(cat(dir, "/", name));
    if ((link && *link && (*link)->starts_with(paths.current(site) + "/")) ||
        (depth > 0 && has_link_of(disk, paths, site, cat(dir, "/", name), depth - 1)))
      return true;
  }
  return false;
}

// As the rules before this one made it: a user with the site's data for a home, a group of its
// name, directories of theirs.
std::vector<store::Asset> old_assets(os::Disk& disk, const os::Paths& paths, const SiteName& site,
    const std::optional<os::User>& user) {
  std::vector<store::Asset> assets;
  if (user)
    assets = {{site, k_user, site.str(), std::to_string(user->uid)},
        {site, k_group, site.str(), std::to_string(user->gid)}};
  const uid_t owner = user ? user->uid : ::geteuid();
  if (const auto found = disk.find(paths.data(site));
      found && *found && is_as_made(disk, paths.data(site), **found, owner))
    assets.push_back({site, k_directory, paths.data(site), ""});
  if (const auto found = disk.find(nginx_logs(paths, site));
      found && *found && is_as_made(disk, nginx_logs(paths, site), **found, ::geteuid()))
    assets.push_back({site, k_directory, nginx_logs(paths, site), ""});
  for (const auto& [dir, depth] :
      {std::pair{srv_dir(paths, site), 0}, std::pair{source_dir(paths, site), 1}})
    if (has_link_of(disk, paths, site, dir, depth))
      assets.push_back({site, k_directory, dir, ""});
  return assets;
}

} // namespace

Result<void> adopt_site(os::Disk& disk, const os::Paths& paths, store::Store& store,
    const SiteName& site, std::vector<std::string>& lines) {
  std::optional<os::User> user;
  if (::geteuid() == 0 && !paths.testing()) {
    const auto found = os::find_user(site.str());
    if (!found)
      return {}; // removed, with all that it had
    const auto group = os::find_group(site.str());
    if (!group || !is_made_by_us(*found, paths, site, *group)) {
      lines.push_back(cat("site '", site.str(), "': user '", site.str(),
          "' is not as chillbox makes one, and is not used for the site"));
      return {};
    }
    user = *found;
  }
  return store.put_assets(old_assets(disk, paths, site, user));
}

std::vector<std::string> adopt_assets(os::Disk& disk, const os::Paths& paths, store::Store& store) {
  const std::string key = "assets";
  std::vector<std::string> lines;
  const auto done = store.meta(key);
  if (!done || *done)
    return lines;
  const auto sites = store.sites_without_assets();
  for (const auto& site : sites.value_or(std::vector<SiteName>{}))
    if (const auto adopted = adopt_site(disk, paths, store, site, lines); !adopted)
      lines.push_back(cat("site '", site.str(),
          "': what was made for it is not recorded: ", adopted.error().message));
  if (const auto set = store.set_meta(key, "recorded"); !set)
    lines.push_back(set.error().message);
  return lines;
}

} // namespace chillbox::rollout
