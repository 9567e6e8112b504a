// The locations of a site's server in the default text: which service answers which path, and how
// files are served. For this room only.
#pragma once

#include "nginx/nginx.hpp"

#include <string>
#include <string_view>

namespace chillbox::nginx {

// A service's answer may have 16k of headers (cookies, policies, links) and more.
constexpr std::string_view k_answer_buffers =
    "    proxy_buffer_size 32k;\n    proxy_buffers 8 16k;\n    proxy_busy_buffers_size 48k;\n";

// "blog-web.blog.chillbox.invalid"
std::string upstream_name(const SiteInput& in, const Upstream& u);
bool serves_requests(const Upstream& u);
// Both of its slots are in the text, and a flag chooses: of a service on TCP, unless the site's own
// lines name its upstream.
bool chooses_slot(const SiteInput& in, const Upstream& u);
std::string slot_upstream(const SiteInput& in, const Upstream& u, size_t slot); // 0: a, 1: b
std::string slot_choice(const SiteInput& in); // of the server, before its locations
std::string locations(const SiteInput& in);
const Upstream* front(const SiteInput& in); // who answers `/`; null: nobody
// "if (-f FLAG) { return 503; }", which every location of a site begins with.
std::string maintenance_check(const SiteInput& in);

} // namespace chillbox::nginx
