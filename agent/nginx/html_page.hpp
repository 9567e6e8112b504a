// Pieces of NGINX text that the host-level server and the default of a site share. For this room
// only.
#pragma once

#include "nginx/nginx.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox::nginx {

// "  listen 80;" for every address family; `more` is "ssl", "default_server", ... With the PROXY
// protocol this machine itself still asks without it, on 127.0.0.1.
std::string listen(
    const config::HostConfig& host, uint16_t port, bool ipv6, std::string_view more = {});
std::string html_page(std::string_view title, std::string_view text);
// A whole page as one quoted argument: in the configuration itself, so that it can be shown
// whatever became of the disk.
std::string page(std::string_view title, std::string_view text);
// Security headers with `always`, each giving way to the service's own (the variables are in
// chillbox.conf; a header without a value is not sent). To be repeated in every location that adds
// a header, because NGINX inherits all of them or none.
std::string security_headers(std::string_view indent);
// For every server with TLS: NGINX takes some of these from the port's default server, and the
// administrator's nginx.conf may say others for all.
std::string tls_settings(const Build& build);
std::string certificate_files(std::string_view certificate, std::string_view key);
// The answer to http-01, of this host or else of its peers.
std::string challenge_location(const config::HostConfig& host, const os::Paths& paths);

} // namespace chillbox::nginx
