#include "rollout/immutable.hpp"
#include "rollout/service_kind.hpp"

#include "base/text.hpp"

#include <map>
#include <mutex>

namespace chillbox::rollout {
namespace {

constexpr std::string_view k_of_a_hash =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

// Where a release may have them: as they came in the artifact, or made by the handler's build.
std::vector<std::string> places(const std::string& service) {
  return {cat("immutable/", service), cat(".chillbox/", service, "/immutable")};
}

bool is_hash(std::string_view name) {
  return !name.starts_with('.') && name.find_first_not_of(k_of_a_hash) == std::string_view::npos;
}

std::vector<std::string> names_in(HostContext& host, const std::string& dir) {
  return host.disk.list(dir).value_or(std::vector<std::string>{});
}

// "NAME/HASH" to where it is, from the place of its link, for all of one release.
void collect(HostContext& host, const SiteName& site, const std::string& release,
    std::map<std::string, std::set<std::string>>& found) {
  const std::string dir = host.paths.releases(site) + "/" + release;
  std::set<std::string> services;
  for (const auto& parent : {dir + "/immutable", dir + "/.chillbox"})
    for (const auto& name : names_in(host, parent))
      if (ServiceName::parse(name))
        services.insert(name);
  for (const auto& service : services)
    for (const auto& place : places(service))
      for (const auto& hash : names_in(host, dir + "/" + place))
        if (is_hash(hash))
          found[cat(service, "/", hash)].insert(
              cat("../../releases/", release, "/", place, "/", hash));
}

} // namespace

// A link that is right stays as it is, so that nobody who reads below it right now notices
// anything.
Result<void> link_immutable(
    HostContext& host, const SiteName& site, const std::set<std::string>& leaving) {
  static std::mutex one; // a job that installs, and one that undoes next to it
  const std::scoped_lock lock(one);
  std::map<std::string, std::set<std::string>> wanted;
  for (const auto& release : TRY(host.disk.list(host.paths.releases(site))))
    if (!leaving.contains(release))
      collect(host, site, release, wanted);
  const std::string top = host.paths.immutable(site);
  for (const auto& [name, targets] : wanted) {
    const std::string link = top + "/" + name;
    const auto now = TRY(host.disk.read_link(link));
    if (now && targets.contains(*now))
      continue;
    TRY(host.disk.make_dir(top, 0755));
    TRY(host.disk.make_dir(link.substr(0, link.rfind('/')), 0755));
    TRY(host.disk.set_link(*targets.rbegin(), link));
  }
  for (const auto& service : names_in(host, top)) {
    size_t left = 0;
    for (const auto& hash : names_in(host, top + "/" + service)) {
      const bool needed = wanted.contains(cat(service, "/", hash));
      left += needed ? 1 : 0;
      if (!needed)
        TRY(host.disk.remove(cat(top, "/", service, "/", hash)));
    }
    if (left == 0)
      TRY(host.disk.remove_tree(top + "/" + service));
  }
  return {};
}

std::optional<std::string> immutable_path(
    HostContext& host, const std::string& release_dir, const std::string& service) {
  if (release_dir.empty()) // preflight: there is none yet
    return std::nullopt;
  std::vector<std::string> hashes;
  for (const auto& place : places(service))
    for (const auto& hash : names_in(host, release_dir + "/" + place))
      if (is_hash(hash))
        hashes.push_back(hash);
  if (hashes.size() != 1)
    return std::nullopt;
  return cat("/immutable/", service, "/", hashes[0], "/");
}

} // namespace chillbox::rollout
