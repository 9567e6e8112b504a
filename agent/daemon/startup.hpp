// What a start finds or makes: directories, tmpfs, the store, the listener of the edge.
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
#include <string_view>
#include <vector>

namespace chillbox::daemon {

// Reads and checks everything that a start needs: the configuration, the senders' keys, the trusted
// keys.
Result<config::HostConfig> check_configuration(const os::Paths& paths);
// Everything that is known to make a start fail: the configuration, a database of a newer program,
// another format of what an upgrade hands over. `chillboxd --check` prints it.
Result<void> check_start(const os::Paths& paths);

Result<void> prepare_directories(const os::Paths& paths, const config::HostConfig& config);
// A damaged file is moved aside, and the store is made again from the sites' own files
// (rollout/manifest.hpp); so are the sites of a store that is older than the disk. `notes`: adds
// what was done, which is logged and audited.
Result<store::Store> open_store(const os::Paths& paths, std::vector<std::string>& notes);
// hook.sock for NGINX; under CHILLBOX_ROOT a loopback port instead, when one is configured.
Result<Fd> listen_for_edge(
    const config::HostConfig& config, const os::Paths& paths, nginx::Nginx& nginx);

// The name of a service user, or "-" where we are not root and stay who we are (tests).
std::string service_user(std::string_view name);
bool is_real_host(const os::Paths& paths);

} // namespace chillbox::daemon
