// Pieces of NGINX text that the host-level server and the default of a site share. For this room
// only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox::nginx {

// "  listen 80;" for every address family; `more` is "ssl", "default_server", ...
std::string listen(uint16_t port, bool ipv6, std::string_view more = {});
std::string html_page(std::string_view title, std::string_view text);
// A whole page as one quoted argument: in the configuration itself, so that it can be shown
// whatever became of the disk.
std::string page(std::string_view title, std::string_view text);
// Security headers with `always`, each giving way to the service's own (the variables are in
// chillbox.conf). To be repeated in every location that adds a header, because NGINX inherits all
// of them or none.
std::string security_headers(std::string_view indent, bool tls);
std::string tls_settings(std::string_view certificate, std::string_view key);

} // namespace chillbox::nginx
