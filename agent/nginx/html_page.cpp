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

std::string listen(uint16_t port, bool ipv6, std::string_view more) {
  const std::string rest = more.empty() ? ";\n" : cat(" ", more, ";\n");
  std::string out = cat("  listen ", port, rest);
  if (ipv6)
    out += cat("  listen [::]:", port, rest);
  return out;
}

std::string page(std::string_view title, std::string_view text) {
  return cat("'", html_page(title, text), "'");
}

std::string security_headers(std::string_view indent, bool tls) {
  std::string out;
  for (const std::string_view header : {"X-Content-Type-Options $chillbox_nosniff",
           "X-Frame-Options $chillbox_frame", "Referrer-Policy $chillbox_referrer"})
    out += cat(indent, "add_header ", header, " always;\n");
  if (tls)
    out += cat(indent, "add_header Strict-Transport-Security $chillbox_hsts always;\n");
  return out;
}

std::string tls_settings(std::string_view certificate, std::string_view key) {
  return cat("  ssl_certificate ", certificate, ";\n  ssl_certificate_key ", key, ";\n",
      "  ssl_protocols TLSv1.2 TLSv1.3;\n  ssl_session_timeout 1d;\n  ssl_session_cache shared:chillbox_tls:2m;\n  ssl_session_tickets off;\n");
}

} // namespace chillbox::nginx
