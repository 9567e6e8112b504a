#include "nginx/html_page.hpp"

#include "base/text.hpp"

namespace chillbox::nginx {

std::string html_page(std::string_view title, std::string_view text) {
  return cat(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>",
      title,
      "</title><style>body{font:1.1em/1.5 sans-serif;max-width:32em;margin:20vh auto;padding:0 1em;color:#333;background:#fafafa}"
      "@media(prefers-color-scheme:dark){body{color:#ddd;background:#222}}</style></head><body><h1>",
      title, "</h1><p>", text, "</p></body></html>\n");
}

std::string listen(
    const config::HostConfig& host, uint16_t port, bool ipv6, std::string_view more) {
  std::string rest = more.empty() ? std::string() : cat(" ", more);
  const std::string plain = cat("  listen 127.0.0.1:", port, rest, ";\n");
  if (host.tls.proxy_protocol)
    rest += " proxy_protocol";
  std::string out = cat("  listen ", port, rest, ";\n");
  if (ipv6)
    out += cat("  listen [::]:", port, rest, ";\n");
  return host.tls.proxy_protocol ? out + plain : out;
}

std::string page(std::string_view title, std::string_view text) {
  return cat("'", html_page(title, text), "'");
}

std::string security_headers(std::string_view indent) {
  std::string out;
  for (const std::string_view header : {"X-Content-Type-Options $chillbox_nosniff",
           "X-Frame-Options $chillbox_frame", "Referrer-Policy $chillbox_referrer",
           "Strict-Transport-Security $chillbox_hsts", "Alt-Svc $chillbox_alt_svc"})
    out += cat(indent, "add_header ", header, " always;\n");
  return out;
}

// Mozilla's intermediate level, version 6.0. No curves: OpenSSL's own include X25519MLKEM768 where
// it can, and NGINX does not start with a name that it cannot.
std::string tls_settings(const Build& build) {
  return cat(
      "  ssl_protocols TLSv1.2 TLSv1.3;\n"
      "  ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
      "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;\n"
      "  ssl_prefer_server_ciphers off;\n  ssl_session_timeout 1d;\n  ssl_session_cache shared:chillbox_tls:2m;\n",
      build.rotates_ticket_keys() ? "" : "  ssl_session_tickets off;\n");
}

std::string certificate_files(std::string_view certificate, std::string_view key) {
  return cat("  ssl_certificate ", certificate, ";\n  ssl_certificate_key ", key, ";\n");
}

std::string challenge_location(const config::HostConfig& host, const os::Paths& paths) {
  const std::string begin = cat(
      "  location ^~ /.well-known/acme-challenge/ {\n    default_type text/plain;\n    disable_symlinks on from=",
      paths.state(), "/acme;\n    root ", paths.state(), "/acme;\n");
  if (!host.tls.asks_others())
    return begin + "  }\n";
  return cat(begin,
      "    error_page 404 = @chillbox_peers;\n  }\n  location @chillbox_peers {\n"
      "    if ($http_x_chillbox_peer) { return 404; }\n"
      "    proxy_pass http://chillbox_peers;\n    proxy_set_header Host $host;\n    proxy_set_header X-Chillbox-Peer 1;\n"
      "    proxy_set_header Connection close;\n    proxy_pass_request_body off;\n    proxy_set_header Content-Length \"\";\n"
      "    proxy_next_upstream error timeout http_404 http_502 http_503 http_504;\n    proxy_connect_timeout 2s;\n    proxy_read_timeout 5s;\n  }\n");
}

} // namespace chillbox::nginx
