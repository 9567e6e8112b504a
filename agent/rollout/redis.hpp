// A site's own Redis: one supervised service of the site's user, in addition to the slots of its
// releases and outliving them. It can only make its socket itself, so that is next to its data,
// where that user may write and nobody but the site's own services comes: /run/redis/SITE.sock is a
// link to it. No TCP. It is started again only when its configuration or its ACL changed.
#pragma once

#include "rollout/loaded_release.hpp"

#include <optional>
#include <string>

namespace chillbox::rollout {

inline constexpr std::string_view k_no_redis =
    "redis: no redis-server and no valkey-server on this host: install the package redis (Alpine: apk add "
    "redis; Debian: apt-get install redis-server)";

std::optional<std::string> redis_program(HostContext& host);
openrc::SlotName redis_slot(const SiteName& site);
bool is_redis(const openrc::SlotName& name);
std::string redis_socket(const os::Paths& paths, const SiteName& site);
// Also where it once was, among the services' sockets.
bool is_redis_socket(const os::Paths& paths, const SiteName& site, const std::string& path);
// The link to it, where programs look for one.
std::string redis_link(const os::Paths& paths, const SiteName& site);
// When the site file has `redis`: it runs with these settings when this returns. If it runs so
// already, nothing is touched. unhealthy: it does not come up.
Result<void> start_redis(HostContext& host, const LoadedRelease& release);
Result<void> stop_redis(HostContext& host, const SiteName& site); // its data stay

} // namespace chillbox::rollout
