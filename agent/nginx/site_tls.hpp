// The text about TLS of a site's servers, and where it is. For this room only.
#pragma once

#include "nginx/nginx.hpp"

namespace chillbox::nginx {

inline constexpr std::string_view k_host_file = "chillbox.conf";
// Of this machine only; no server that visitors reach listens there.
inline constexpr std::string_view k_nowhere_address = "127.99.104.99";

// "include .../certs/ID.con[f];"
std::string tls_include(std::string_view indent, const os::Paths& paths, std::string_view id);
// Where to listen, for a server of a template that has another one for http.
std::string listen_include(std::string_view indent, const os::Paths& paths, const SiteName& site);
std::string tls_redirect(std::string_view indent, const config::HostConfig& host);
std::string tls_port(const config::HostConfig& host); // "" or ":8443"

// In each upstream: "include .../upstream.con[f];"
inline std::string upstream_file(const os::Paths& paths) {
  return paths.state() + "/nginx/upstream.conf";
}
inline std::string upstream_include(const os::Paths& paths) {
  const std::string file = upstream_file(paths);
  return "include " + file.substr(0, file.size() - 1) + "[f];";
}

// certs/ID.conf, and run()/tls/ID.conf; "": does not exist.
struct TlsText {
  std::string disk, memory = {};
};
TlsText tls_text(const config::HostConfig& host, const os::Paths& paths, const Build& build,
    bool ipv6, std::string_view id, const SiteTls& tls);

} // namespace chillbox::nginx
