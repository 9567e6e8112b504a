// The parts of a site file that are objects of their own: variables, services and workers.
#pragma once

#include "config/expand.hpp"
#include "config/fields.hpp"
#include "config/site.hpp"

namespace chillbox::config {

// Reads `env`, where a variable may have a `cmd`, or `environment`, where it may not. A name that
// occurs twice is a problem.
void read_variables(
    const Location& at, const Json& json, bool with_cmd, std::vector<Variable>& out);
// Appends one element of `services` or `workers` to site.services. The site's env must have been
// read, so that references in the service's own variables can be checked.
void read_service(const Location& at, const Json& json, bool worker, Site& site);
// The variables that values may refer to, the host's and the site's; their values are not known or
// expanded yet.
Variables known_variables(const Site& site);

} // namespace chillbox::config
