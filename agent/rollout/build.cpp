// From an installed tree to a sealed release. Each service's build runs as a user that nobody else
// is, in a view of the host in which it writes to its own places only; what it made is looked at
// and becomes root's before the next one begins. Nobody but that user and root comes to what is
// being built: `.chillbox` is closed to the site's own services meanwhile.
#include "rollout/build.hpp"
#include "rollout/claims.hpp"
#include "rollout/immutable.hpp"
#include "rollout/install.hpp"
#include "rollout/legacy_links.hpp"
#include "rollout/links.hpp"
#include "rollout/roster.hpp"
#include "rollout/service_environment.hpp"
#include "rollout/shared_data.hpp"
#include "rollout/snapshots.hpp"
#include "rollout/steps.hpp"
#include "rollout/stop_first.hpp"

#include "base/text.hpp"
#include "base/unsynced.hpp"
#include "openrc/secret_variables.hpp"
#include "os/job_user.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace chillbox::rollout {
namespace {

constexpr std::string_view k_of_a_layer =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
constexpr size_t k_longest_key = 64;
constexpr os::Millis k_outcome_margin{60'000}; // of a release_command on another host

std::string top_of(const JobContext& r) {
  return r.release_dir() + "/.chillbox";
}
std::string build_dir(const JobContext& r, const PlannedService& p) {
  return cat(top_of(r), "/", p.service.name.str());
}

// A layer of the cache is named KEY-DIGEST: what it was made from, and what it is
// (os::Disk::tree_digest). A link to it is in the release's own digest, so that that one covers the
// layer, too.
bool is_key(std::string_view name) {
  return !name.empty() && name.size() <= k_longest_key &&
      name.find_first_not_of(k_of_a_layer) == std::string_view::npos;
}

class Build {
public:
  Build(JobContext& r, const PlannedService& p)
      : m_r(r), m_p(p), m_cache(cache_dir(r.host, r.release.site, r.release_dir())),
        m_built(build_dir(r, p)), m_work(top_of(r) + "/.work"), m_layers(m_work + "/layers") {}

  // Not synced but for what goes to the cache: the tree is, as a whole, once all is in it.
  Result<void> go() {
    {
      const Unsynced later;
      TRY(run());
    }
    TRY(adopt_layers());
    const Unsynced later;
    TRY(m_r.host.disk.remove_tree(m_work));
    TRY(check_links());
    return link_data();
  }

private:
  Result<void> run() {
    auto& disk = m_r.host.disk;
    std::optional<os::JobUser> own; // as long as something of it runs
    if (m_r.host.as_root)
      own.emplace(TRY(os::JobUser::take()));
    const os::User user = own ? own->user() : m_r.release.user;
    TRY(disk.make_dir(top_of(m_r), 0710, root_and(user)));
    for (const auto& dir : {m_built, m_work})
      TRY(disk.make_dir(dir, 0700, {user.uid, user.gid}));
    // What a hook would start a program for.
    TRY(disk.set_link(data_dir(), m_built + "/data"));
    if (!m_p.layer.empty())
      TRY(disk.set_link(cat(m_cache, "/", m_p.layer), m_built + "/layer"));
    const ServiceContext place{&m_r.release.site, &m_p.service, m_r.release.row.version,
        m_r.release_dir(), Slot::none, 0, user};
    const BuildDirectories work{
        .layers = m_layers, .layer = m_p.layer, .home = m_work, .readers = m_r.release.user.gid};
    return build(
        m_r.host, m_p.kind, place, work, [this](std::string_view line) { m_r.output(line); },
        [this] { return m_r.control.cancelled(); });
  }

  // By a rename, so that a layer of the cache is whole.
  Result<void> adopt_layers() {
    auto& disk = m_r.host.disk;
    for (const auto& key : TRY(disk.list(m_layers))) {
      const std::string from = cat(m_layers, "/", key);
      if (key.starts_with('.'))
        continue; // not finished
      if (!is_key(key))
        return fail(Code::failure,
            cat("layer '", printable(key, 80), "': a name has at most ", k_longest_key,
                " letters, digits and '_'"));
      const std::string digest =
          TRY_IN(cat("layer ", key), disk.freeze_tree(from, root_and(m_r.release.user)));
      TRY(check_layer_links(from, key));
      const std::string name = cat(key, "-", digest);
      if (!disk.exists(cat(m_cache, "/", name))) {
        TRY(disk.make_dir(m_cache, 0750, root_and(m_r.release.user)));
        TRY(disk.rename(from, cat(m_cache, "/", name)));
        m_adopted.insert(name);
      }
      m_names[from] = cat(m_cache, "/", name);
    }
    return m_names.empty() ? Result<void>() : point_to_cache();
  }

  Result<void> check_layer_links(const std::string& layer, const std::string& key) {
    for (const auto& link : TRY(m_r.host.disk.tree_links(layer)))
      if (!stays_inside(link.path, link.target) && !is_of_the_system(link.target))
        return fail(Code::denied,
            cat("layer ", key, ": '", printable(link.path), "' links to '", printable(link.target),
                "': a link of a layer must stay in it, or go to a program of the system"));
    return {};
  }

  // The build could not know what its layers are called from now on.
  Result<void> point_to_cache() {
    for (const auto& link : TRY(m_r.host.disk.tree_links(m_built)))
      for (const auto& [from, to] : m_names)
        if (link.target == from || link.target.starts_with(from + "/"))
          TRY(m_r.host.disk.set_link(
              to + link.target.substr(from.size()), cat(m_built, "/", link.path)));
    return {};
  }

  // What is sealed must not lead to what is not.
  Result<void> check_links() {
    const std::string below = cat(".chillbox/", m_p.service.name.str(), "/");
    for (const auto& link : TRY(m_r.host.disk.tree_links(m_built))) {
      if (link.target.starts_with(m_cache + "/"))
        TRY(check_layer(link));
      else if (!stays_inside(below + link.path, link.target) && !is_of_the_system(link.target) &&
          !is_of_the_release(link.target) && link.target != data_dir())
        return fail(Code::denied,
            cat("what was built has a link that leaves the release: '",
                printable(below + link.path), "' links to '", printable(link.target),
                "'; it may go to the release, to its layers and to programs of the system"));
    }
    return {};
  }

  // Where programs of its kind write, although that is in the service's folder. What the release
  // brings there itself stays.
  Result<void> link_data() {
    return link_data(m_built + "/data-links", cat(m_r.release_dir(), "/", m_p.service.folder()));
  }

  Result<void> link_data(const std::string& names, const std::string& folder) {
    auto& disk = m_r.host.disk;
    for (const auto& name : TRY(disk.list(names))) {
      const std::string place = cat(folder, "/", name);
      if (!disk.exists(folder))
        continue;
      const auto there = TRY(disk.find(place));
      if (!there)
        TRY(disk.set_link(data_dir(), place));
      else if (there->directory &&
          TRY(disk.find(cat(names, "/", name))).value_or(os::Found()).directory)
        TRY(link_data(cat(names, "/", name), place));
    }
    return {};
  }

  std::string data_dir() const {
    return cat(m_r.host.paths.data(m_r.job.site), "/", m_p.service.folder());
  }

  bool is_of_the_release(std::string_view target) const {
    const std::string dir = m_r.release_dir() + "/";
    return target.starts_with(dir) && stays_inside("", target.substr(dir.size()));
  }

  // One that another build made: is it still what its name says, and root's?
  Result<void> check_layer(const os::TreeLink& link) {
    const std::string_view inside = std::string_view(link.target).substr(m_cache.size() + 1);
    const std::string name(inside.substr(0, inside.find('/')));
    const auto dash = name.rfind('-');
    if (dash == std::string::npos || !stays_inside("", inside))
      return fail(Code::denied,
          cat("'", printable(link.path), "' links to '", printable(link.target),
              "', which is no layer of the cache"));
    if (m_adopted.contains(name))
      return {};
    const std::string path = cat(m_cache, "/", name);
    const auto digest = m_r.layers.digest(m_r.host, path);
    const std::string advice = cat("remove ", path, " and deploy again, so that it is rebuilt");
    if (!digest && digest.error().code == Code::denied)
      return fail(Code::corrupt,
          cat("a layer is not root's alone: ", digest.error().message, ": ", advice));
    if (TRY(digest) != name.substr(dash + 1))
      return fail(
          Code::corrupt, cat("layer ", path, " is not what was built under this name: ", advice));
    return {};
  }

  JobContext& m_r;
  const PlannedService& m_p;
  std::string m_cache, m_built, m_work, m_layers;
  std::map<std::string, std::string>
      m_names; // of the layers that this build made: its path, and where it is from now on
  std::set<std::string> m_adopted;
};

Result<void> build_all(JobContext& r) {
  auto services = r.release.services; // those first whose paths the others may want to know
  std::ranges::stable_partition(services, [](const PlannedService& p) { return p.kind.hashed; });
  for (const auto& p : services)
    if (p.kind.builds && r.host.disk.exists(r.release_dir() + "/" + p.service.name.str())) {
      r.info(cat("builds '", p.service.name.str(), "'")); // the first time takes long
      TRY_IN(cat("service '", p.service.name.str(), "'"), Build(r, p).go());
    }
  const Unsynced later;
  return r.host.disk.make_dir(top_of(r), k_traverse, root_and(r.release.user));
}

Result<void> check_published(JobContext& r, const std::string& dir) {
  if (auto problem = published_problem(r.host, dir))
    return fail(Code::denied, std::move(*problem));
  return {};
}

// What is below it was installed for everybody to read.
Result<void> publish_dir(JobContext& r, const std::string& dir) {
  TRY(check_published(r, dir));
  return r.host.disk.make_dir(dir, 0755, root_and(r.release.user));
}

Result<void> publish(JobContext& r) {
  auto& disk = r.host.disk;
  for (const auto& p : r.release.services) {
    const std::string dir = r.release_dir() + "/" + p.service.name.str();
    for (const auto& name : published_folders(p)) {
      TRY(disk.make_dir(dir, k_traverse, root_and(r.release.user)));
      for (size_t end = name.find('/'); end != std::string::npos; end = name.find('/', end + 1))
        TRY(disk.make_dir(
            cat(dir, "/", name.substr(0, end)), k_traverse, root_and(r.release.user)));
      TRY(publish_dir(r, name == "." ? dir : dir + "/" + name));
    }
    const std::string built = build_dir(r, p);
    if (!disk.exists(built))
      continue; // all of it came in immutable/
    if (!p.kind.built
            .empty()) // sealed first: it may have hard links that are not for everybody to read
      (void)TRY(disk.freeze_tree(built, root_and(r.release.user)));
    for (const auto& name : p.kind.built) {
      TRY(disk.make_dir(built, k_traverse, root_and(r.release.user)));
      TRY(check_published(r, built + "/" + name));
      TRY(disk.make_world_readable(built + "/" + name));
    }
  }
  const std::string immutable = r.release_dir() + "/immutable";
  if (disk.exists(immutable))
    TRY(publish_dir(r, immutable));
  const std::string nginx_root = r.release_dir() + "/nginx/root";
  if (disk.exists(nginx_root)) {
    TRY(disk.make_dir(r.release_dir() + "/nginx", k_traverse, root_and(r.release.user)));
    TRY(publish_dir(r, nginx_root));
  }
  return {};
}

} // namespace

std::optional<std::string> published_problem(HostContext& host, const std::string& dir) {
  const auto links = host.disk.tree_links(dir);
  if (!links)
    return links.error().message;
  const auto* link = first_that_leaves(*links);
  if (link == nullptr)
    return std::nullopt;
  return cat("'", printable(link->path), "' in ", dir, " links to '", printable(link->target),
      "', out of the folder that NGINX serves: bring the file itself");
}

Result<void> build_tree(JobContext& r) {
  TRY(build_all(r));
  {
    const Unsynced later;
    TRY(publish(r));
    r.release.row.digest = TRY(r.host.disk.freeze_tree(r.release_dir(), root_and(r.release.user)));
  }
  // The one sync of verify, install and build: names, bytes and modes, and the name of the
  // signature. It goes on while the release's services start.
  r.synced = std::async(std::launch::async,
      [&disk = r.host.disk, tree = r.release_dir(), signatures = r.host.paths.artifacts()] {
        return disk.sync_with(tree, signatures);
      });
  {
    const Unsynced later; // until wait_for_sync(), a crash makes the job begin again
    TRY(r.host.store.put_release(r.release.row));
  }
  if (r.host.disk.exists(r.release_dir() + "/nginx/templates"))
    TRY(make_legacy_links(r.host, r.release));
  return link_immutable(r.host, r.job.site); // before the first page that names them is answered
}

Result<void> wait_for_sync(JobContext& r) {
  return r.synced.valid() ? r.synced.get() : Result<void>{};
}

namespace {

Result<void> run_release_command(
    JobContext& r, const PlannedService& p, const CommandClaim* claim) {
  const ServiceContext place{&r.release.site, &p.service, r.release.row.version, r.release_dir(),
      Slot::none, 0, r.release.user, {}, &p.kind};
  TRY(keep_data(r)); // before the first of them
  auto environment = TRY(service_environment(r.host, place));
  TRY(openrc::add_secret_variables(secrets_env_path(r.host, place), environment));
  if (claim != nullptr) {
    environment.emplace_back("CHILLBOX_RUN", claim->key.substr(std::string_view("claims/").size()));
    environment.emplace_back("CHILLBOX_FENCE", std::to_string(claim->fence));
    TRY(begin_command(r.host, *claim));
  }
  r.info(cat("release_command of '", p.service.name.str(),
      "' runs: ", printable(join(p.service.release_command, " "))));
  return release_command(
      r.host, place, std::move(environment), [&](std::string_view line) { r.output(line); },
      [&] { return r.control.cancelled(); });
}

// On one host of the fleet; the others go on when it has succeeded there.
Result<void> run_once_in_fleet(JobContext& r, const PlannedService& p) {
  const auto claim =
      TRY(claim_command(r.host, r.job.site, r.release.row.version, p.service.name.str()));
  if (claim.fence == 0) {
    r.info(cat("release_command of '", p.service.name.str(), "' runs on ", claim.host,
        ", whose outcome is awaited"));
    const auto limit = std::chrono::duration_cast<os::Millis>(r.host.config.build_timeout);
    return wait_for_outcome(
        r.host, claim, limit + k_outcome_margin, [&] { return r.control.cancelled(); });
  }
  const auto done = run_release_command(r, p, &claim);
  if (const auto told = tell_outcome(r.host, claim, done); !told)
    r.warn(cat("release_command of '", p.service.name.str(),
        "': its end could not be written for the other hosts: ", told.error().message));
  return done;
}

} // namespace

Result<void> migrate(JobContext& r, const PlannedService& p) {
  if (p.service.release_command.empty())
    return {};
  const auto& where = r.release.site.run_on.release_command;
  if (const auto why = runs_elsewhere(r.host, where); !why.empty()) {
    r.info(cat("release_command of '", p.service.name.str(), "' ", why));
    return {};
  }
  TRY_IN(cat("service '", p.service.name.str(), "'"),
      where == config::k_once ? run_once_in_fleet(r, p) : run_release_command(r, p, nullptr));
  return {};
}

namespace {

Result<Next> run_build(JobContext& r) {
  TRY(build_tree(r));
  for (const auto& p : r.release.services)
    if (!must_stop_first(r, p)) // else once nobody uses its data any more
      TRY(migrate(r, p));
  return Next::proceed;
}

} // namespace

extern const Step k_build{.name = "build", .run = run_build, .touches_site = false};

} // namespace chillbox::rollout
