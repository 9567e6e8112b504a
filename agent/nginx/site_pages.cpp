#include "nginx/site_pages.hpp"

#include "base/text.hpp"
#include "nginx/html_page.hpp"

namespace chillbox::nginx {
namespace {

constexpr std::string_view k_maintenance_title = "Back soon";
constexpr std::string_view k_maintenance_text =
    "This site is under maintenance. Please try again in a few minutes.";

constexpr std::string_view k_maintenance_headers =
    "    default_type text/html;\n    charset utf-8;\n    add_header Retry-After 120 always;\n    add_header Cache-Control no-store always;\n"
    "    add_header X-Content-Type-Options nosniff always;\n    etag off;\n    if_modified_since off;\n    max_ranges 0;\n";

} // namespace

std::string sealed_flag(const SiteInput& in) {
  return cat(in.paths.run(), "/sealed/", in.site->slug.str());
}

std::string error_pages(std::string_view indent) {
  return cat(indent, "error_page 502 504 = @chillbox_unavailable;\n", indent,
      "error_page 503 /.chillbox/maintenance;\n", indent, "error_page 413 @chillbox_too_large;\n");
}

// From the file that `chillboxctl maintenance on` wrote; someone who made the flag by hand gets a
// page with words of ours. As a page by its path, not by a name, because what a POST asked for is
// then got as a file.
std::string maintenance_location(const SiteInput& in) {
  return cat("  location = /.chillbox/maintenance {\n    internal;\n    root ",
      in.paths.site(in.site->slug),
      ";\n"
      "    try_files /maintenance.html @chillbox_maintenance;\n",
      k_maintenance_headers, "  }\n  location @chillbox_maintenance {\n", k_maintenance_headers,
      "    return 503 ", page(k_maintenance_title, k_maintenance_text), ";\n  }\n");
}

// A service that cannot be reached: because the host is locked, or because it is down. What a
// service answers itself is passed on.
std::string unavailable_location(const SiteInput& in) {
  return cat(
      "  location @chillbox_unavailable {\n    if ($chillbox_no_service) { return 444; }\n    default_type text/html;\n    add_header Cache-Control no-store always;\n    if (-f ",
      sealed_flag(in),
      ") {\n      add_header Retry-After 300 always;\n      add_header Cache-Control no-store always;\n      return 503 ",
      page(k_maintenance_title, // strangers need not know that the host waits for its passphrase
          "This site is being restarted. Please try again later."),
      ";\n    }\n    return 502 ",
      page("Not available", "This site does not answer at the moment. Please try again later."),
      ";\n  }\n");
}

std::string too_large_location() {
  return cat(
      "  location @chillbox_too_large {\n    default_type text/html;\n    add_header Cache-Control no-store always;\n    return 413 ",
      page("Too large", "What was sent is larger than this site accepts."), ";\n  }\n");
}

std::string maintenance_page(std::string_view message) {
  if (message.empty())
    return html_page(k_maintenance_title, k_maintenance_text);
  std::string text;
  for (const char c : message)
    switch (c) {
    case '&': text += "&amp;"; break;
    case '<': text += "&lt;"; break;
    case '>': text += "&gt;"; break;
    case '"': text += "&quot;"; break;
    case '\'': text += "&#39;"; break;
    case '\n': text += "<br>"; break;
    default: text += c;
    }
  return html_page(k_maintenance_title, text);
}

} // namespace chillbox::nginx
