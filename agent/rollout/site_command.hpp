// What an entry of a crontab runs: in the live release, in the environment of the site's main
// service.
#pragma once

#include "openrc/slots.hpp"
#include "rollout/host_context.hpp"

#include <string>

namespace chillbox::rollout {

// A command line of the site's own, for a shell that runs as its user in the live release, in the
// environment of its first service that runs (else its first worker). not_found: no live release;
// conflict: the site is stopped; sealed: a secret of any service is missing.
Result<openrc::SlotSpec> site_command(
    HostContext& host, const SiteName& site, const std::string& line);

} // namespace chillbox::rollout
