// What a start finds or makes: directories, the two tmpfs, the store, the listener of the edge.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "config/host.hpp"
#include "nginx/nginx.hpp"
#include "os/paths.hpp"
#include "os/runner.hpp"
#include "store/store.hpp"

#include <optional>
#include <string>

namespace chillbox::daemon {

Result<void> prepare_ground(const os::Paths& paths, const config::HostConfig& config);
// A damaged file is moved aside, loudly, and an empty store is begun.
Result<store::Store> open_store(const os::Paths& paths);
// hook.sock for NGINX; under CHILLBOX_ROOT a loopback port instead, when one is configured.
Result<Fd> listen_for_edge(const config::HostConfig& config, const os::Paths& paths, nginx::Nginx& nginx);

// The name of a service user, or "-" where we are not root and stay who we are (tests).
std::string ground_user(const std::string& name);
std::optional<os::User> ground_stager();

} // namespace chillbox::daemon
