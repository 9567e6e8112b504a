// What sends visitors to a release: the links to its sockets, and its NGINX text.
#pragma once

#include "rollout/loaded_release.hpp"

#include <string>

namespace chillbox::rollout {

// The services' live links point to the release's slot, `current` to the release. Links of services
// that the site does not have any more go.
// Without `ports` what chooses between the ports of a service stays as it is: for a text that is
// not installed yet (point_ports).
Result<void> point_links(HostContext& host, const LoadedRelease& release, bool ports = true);
// Of services that listen on TCP: NGINX's next request goes to the port of the release's slot.
Result<void> point_ports(HostContext& host, const LoadedRelease& release);
// They do so already.
bool ports_are_pointed(HostContext& host, const LoadedRelease& release);
// The release's NGINX text.
Result<std::string> render(HostContext& host, const LoadedRelease& release);
// The same with the templates of a tree that is not installed yet.
Result<std::string> render_from(
    HostContext& host, const LoadedRelease& release, const std::string& tree);
// The flag that NGINX looks at before it answers with the page of a sealed host.
Result<void> set_sealed_flag(HostContext& host, const SiteName& site, bool sealed);

} // namespace chillbox::rollout
