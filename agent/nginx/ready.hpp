// /SITE/ready: whether visitors may be sent here, for load balancers and DNS checks. NGINX answers
// by itself: 503 while the host or the site is drained, locked or in maintenance, else what the
// health path of the service at `/` says. Two words, whatever the service answers: nothing of a
// site is shown by it. The same under the site's names and, to nginx.checked_from only, under the
// host's. For this room only.
#pragma once

#include "nginx/nginx.hpp"

#include <string>
#include <string_view>

namespace chillbox::nginx {

// The locations, for a server of the site.
std::string ready_location(const SiteInput& in);
// The same for the host's server, as the second line of the site's text, a comment: whatever a
// template says, the first two lines of a text are ours.
std::string ready_comment(const SiteInput& in);
// What that line says, with its end; "" : the text is from before there was one.
std::string host_ready(std::string_view site_text);
std::string ready_file(const os::Paths& paths, const SiteName& site);
// Who may ask the host's server: for its http block. And its locations.
std::string ready_askers(const config::HostConfig& host);
std::string ready_locations(const os::Paths& paths);

} // namespace chillbox::nginx
