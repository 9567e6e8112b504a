// Folders of a service's data that NGINX serves (`paths` of the site file): it may read what is in
// them and pass through the directories above, which are otherwise the site's user's alone.
#pragma once

#include "rollout/job_context.hpp"

namespace chillbox::rollout {

// "uploads" for "data:uploads"; nullopt: a folder of the release.
std::optional<std::string> data_folder(const std::string& folder);
// Folders of the service's own in the release that NGINX serves: its kind's, and those of `paths`.
std::vector<std::string> published_folders(const PlannedService& p);
// All of a release that NGINX serves on its own, relative to the release.
std::vector<std::string> published_paths(const std::vector<PlannedService>& services);
bool shares_data(const config::Site& site);
// Whether something in this data folder, which a worker may have in common with a service, is.
bool shares_data(const config::Site& site, const std::string& folder);
// Makes the folders, and makes them readable. For a service without any it changes nothing.
Result<void> share_data(HostContext& host, const LoadedRelease& release);
// The same in a copy of the data.
Result<void> share_folders(
    HostContext& host, const LoadedRelease& release, const std::string& data);

} // namespace chillbox::rollout
