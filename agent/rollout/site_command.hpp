// What an entry of a crontab runs: in the live release, in the environment of the site's main
// service.
#pragma once

#include "cron/task.hpp"
#include "openrc/slots.hpp"
#include "rollout/host_context.hpp"
#include "rollout/loaded_release.hpp"

#include <string>
#include <vector>

namespace chillbox::rollout {

// The service whose environment it has (config/references.hpp); null: the site has none.
const PlannedService* main_service(const std::vector<PlannedService>& services);
// What /bin/sh runs for a line of the crontab.
Result<std::string> crontab_text(
    HostContext& host, const std::string& line, const ServiceContext& place);

// A command of the site's own, as its user in the live release. not_found: no live release, no such
// service; conflict: the site is stopped; sealed: a secret of any service is missing.
Result<openrc::SlotSpec> site_command(
    HostContext& host, const SiteName& site, const cron::SiteCommand& command);

} // namespace chillbox::rollout
