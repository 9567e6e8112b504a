// The parts of a site file that are objects of their own: variables, services and workers.
#pragma once

#include "config/expand.hpp"
#include "config/fields.hpp"
#include "config/site.hpp"

namespace chillbox::config {

// `env`, where a variable may have a `cmd`, and `environment`, where it may not. Told too: a name
// that stands twice.
void read_variables(
    const Location& at, const Json& json, bool with_cmd, std::vector<Variable>& out);
// One element of `services` or `workers`, appended to site.services. The site's env is read before,
// so that what the service's own variables refer to can be checked.
void read_service(const Location& at, const Json& json, bool worker, Site& site);
// What values may refer to: the host's variables and the site's, their values not yet known or
// expanded.
Variables known_variables(const Site& site);

} // namespace chillbox::config
