// What runs of a service: which program a word names, and which variables it gets. One rule for a
// service or worker, its release_command, the crontab and `chillboxctl run`, and for the values in
// the site file: config/references.hpp has the names.
#pragma once

#include "rollout/service_kind.hpp"

#include <string>
#include <vector>

namespace chillbox::rollout {

// For the hooks of a kind.
Environment hook_environment(HostContext& host, const ServiceContext& place);

// The variables of NGINX templates of this site (site.json(5), "Variables"), not yet expanded.
config::Variables site_variables(HostContext& host, const config::Site& site,
    const std::string& version, const PortVariables& ports = {});
// Those, the service's own and the agent's, not yet expanded: what its values and commands may use.
config::Variables run_variables(HostContext& host, const ServiceContext& place);
// The same with nothing of a release in it: what the site file itself says.
config::Variables service_variables(HostContext& host, const config::Site& site,
    const config::Service& service, const ServiceKind* kind);
// The whole environment of what runs: run_variables expanded, and what its hooks know.
Result<Environment> service_environment(HostContext& host, const ServiceContext& place);

// The path of its `secrets_env`, "" if it has none.
std::string secrets_env_path(const HostContext& host, const ServiceContext& place);
// The first of the site's `secrets_env` that cannot be used, as the set is now.
Result<void> check_secret_variables(const HostContext& host, const config::Site& site);

// Where its programs are looked up, in this order: the kind's folders of programs, the service's
// own folder, the host's. It is its PATH, too.
std::vector<std::string> program_folders(const ServiceContext& place);
// Expands the words and finds the program that the first one names: a path is relative to the
// service's folder. not_found: it names each folder that was looked at.
Result<std::vector<std::string>> program_argv(
    HostContext& host, const ServiceContext& place, const std::vector<std::string>& words);

// Which of PORT and CHILL_PORT the service's environment has: they are given the port of its slot.
std::vector<std::string> own_port_variables(const config::Service& service);

} // namespace chillbox::rollout
