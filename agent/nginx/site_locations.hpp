// The locations of a site's server in the default text: which service answers which path, and how
// files are served. For this room only.
#pragma once

#include "nginx/nginx.hpp"

#include <string>

namespace chillbox::nginx {

// "blog-web.blog.chillbox.invalid"
std::string upstream_name(const SiteInput& in, const Upstream& u);
bool serves_requests(const Upstream& u);
std::string locations(const SiteInput& in);
// "if (-f FLAG) { return 503; }", which every location of a site begins with.
std::string maintenance_check(const SiteInput& in);

} // namespace chillbox::nginx
