// The pages that NGINX itself shows for a site: under maintenance, locked, not available, not
// found, too large. For this room only.
#pragma once

#include "nginx/nginx.hpp"

#include <string>
#include <string_view>

namespace chillbox::nginx {

// The directives that lead to them. To be repeated in every location that has an error_page of its
// own, because NGINX inherits all of them or none.
std::string error_pages(std::string_view indent);
// The locations of these pages, for a server.
std::string maintenance_location(const SiteInput& in);
std::string unavailable_location(const SiteInput& in);
std::string too_large_location();
// "/run/chillbox/sealed/SITE": exists while the site waits for an unlock.
std::string sealed_flag(const SiteInput& in);

} // namespace chillbox::nginx
