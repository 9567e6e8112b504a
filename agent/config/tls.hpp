// The member "tls" of a site file.
#pragma once

#include "config/fields.hpp"
#include "config/site.hpp"

namespace chillbox::config {

void read_tls(const Location& at, const Json& json, Site& site);

} // namespace chillbox::config
