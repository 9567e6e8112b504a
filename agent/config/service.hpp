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
// Appends one element of `services` or `workers` to site.services.
void read_service(const Location& at, const Json& json, bool worker, Site& site);
// What a service says with regard to another or to its kind, once all are read: a worker takes over
// what is that service's.
void adopt_services(const Location& at, Site& site, const KnownKinds& kinds);

// Why no new release has a service of this name, although one that is live may; "": it may.
std::string taken_name(const std::string& name);
// What is no problem, because sites that work have it: a line for each service with fields that do
// nothing for its kind, as sites of the original chillbox have, whose folder of the secret set is
// also that of the certificate, or whose command was written for a shell.
std::vector<std::string> site_warnings(const Site& site, const KnownKinds& kinds);
// Folder of the secret set: the certificate (SITE.pem), and the credentials of its DNS program.
inline constexpr std::string_view k_tls_secrets = "tls";

} // namespace chillbox::config
