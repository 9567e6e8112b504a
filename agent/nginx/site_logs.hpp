// The logs of a site's servers: what NGINX writes of each request, as one line of text or as one
// JSON object (nginx.access_log), and of errors. For this room only.
#pragma once

#include "nginx/nginx.hpp"

#include <string>

namespace chillbox::nginx {

// The formats that the site's servers use, at the top of its text: NGINX wants to have read a
// format before its name, and files of sites come in the order of their names.
std::string log_formats(const SiteInput& in);
std::string access_log(const SiteInput& in); // "access_log ...;\n"

} // namespace chillbox::nginx
