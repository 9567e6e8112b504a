// The parts of a plan that look into releases and at what runs. Each change of a service has its
// reasons in words.
#pragma once

#include "control/messages.hpp"
#include "rollout/loaded_release.hpp"

#include <string>
#include <vector>

namespace chillbox::rollout {

// The services of the live release, installed, and of the one whose tree this is.
std::vector<control::ServiceChange> compare_services(HostContext& host, const LoadedRelease& old,
    const LoadedRelease& now, const std::string& now_tree);
// What else differs: fields of the site itself, and files next to the services' folders.
std::vector<std::string> compare_rest(HostContext& host, const LoadedRelease& old,
    const LoadedRelease& now, const std::string& now_tree);
// Its name in the tree, and whether the live release has the same one, byte for byte.
std::string site_file(const LoadedRelease& release);
bool same_site_file(HostContext& host, const LoadedRelease& old, const std::string& now_tree);
// The services of the live release: what runs, compared with what a restart would run.
std::vector<control::ServiceChange> running_services(HostContext& host, const LoadedRelease& live);
// Where the host is not as the store says: the link `current`, the live sockets, the release's
// files, the NGINX file (faults 121).
std::vector<std::string> drift(HostContext& host, const LoadedRelease& live);

} // namespace chillbox::rollout
