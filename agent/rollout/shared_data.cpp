#include "rollout/shared_data.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::rollout {

std::optional<std::string> data_folder(const std::string& folder) {
  constexpr std::string_view k_data = "data:";
  return folder.starts_with(k_data) ? std::optional(folder.substr(k_data.size())) : std::nullopt;
}

std::vector<std::string> published_folders(const PlannedService& p) {
  std::vector<std::string> folders = p.kind.published;
  for (const auto& [path, folder] : p.service.web.paths)
    if (!data_folder(folder))
      folders.push_back(folder.substr(p.service.name.str().size() + 1));
  return folders;
}

std::vector<std::string> published_paths(const std::vector<PlannedService>& services) {
  std::vector<std::string> paths{"immutable", "nginx/root"};
  for (const auto& p : services)
    for (const auto& name : published_folders(p))
      paths.push_back(cat(p.service.name.str(), name == "." ? "" : "/" + name));
  return paths;
}

bool shares_data(const config::Site& site, const std::string& folder) {
  return std::ranges::any_of(site.services, [&](const config::Service& service) {
    return (folder.empty() || service.folder() == folder) &&
        std::ranges::any_of(service.web.paths,
            [](const auto& path) { return data_folder(path.second).has_value(); });
  });
}

bool shares_data(const config::Site& site) {
  return shares_data(site, "");
}

Result<void> share_folders(
    HostContext& host, const LoadedRelease& release, const std::string& data) {
  if (!shares_data(release.site))
    return {};
  const os::Owner owner{
      release.user.uid, host.as_root ? TRY(host.nginx.group()) : release.user.gid};
  for (const auto& p : release.services)
    for (const auto& [path, folder] : p.service.web.paths)
      if (const auto name = data_folder(folder))
        TRY_IN(cat("paths ", path),
            host.disk.share_dir(data, cat(p.service.name.str(), "/", *name), owner));
  return {};
}

Result<void> share_data(HostContext& host, const LoadedRelease& release) {
  return share_folders(host, release, host.paths.data(release.row.site));
}

} // namespace chillbox::rollout
