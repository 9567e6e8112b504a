#include "nginx/ready.hpp"

#include "base/text.hpp"
#include "nginx/site_locations.hpp"
#include "nginx/site_pages.hpp"
#include "nginx/syntax.hpp"

#include <algorithm>

namespace chillbox::nginx {
namespace {

constexpr std::string_view k_comment = "# for the host's server: ";

// Good is what a health check calls good: below 400, and below 500 where the site file sets none.
// 429 is not: "later" is what a service says that is not ready.
constexpr std::string_view k_redirects = "300 301 302 303 304 307 308";
constexpr std::string_view k_refusals =
    "400 401 402 403 404 405 406 409 410 411 412 415 421 422 426 428 451";

const Upstream* asked(const SiteInput& in) {
  if (const auto* first = front(in); first != nullptr && serves_requests(*first))
    return first;
  const auto found = std::ranges::find_if(in.upstreams, serves_requests);
  return found == in.upstreams.end() ? nullptr : &*found;
}

// A '$' would be a variable of NGINX's.
std::string without_variables(std::string_view path) {
  std::string out;
  for (const char c : path)
    out += c == '$' ? std::string("%24") : std::string(1, c);
  return out;
}

std::string unless(const std::string& file) {
  return cat("    if (-f ", file, ") { return 503; }\n");
}

std::string ready(const SiteInput& in, std::string_view first) {
  const auto& site = in.site->slug;
  const auto* service = asked(in);
  const std::string question = cat("/.chillbox/ready/", site.str());
  std::string out = cat("  location = /", site.str(), "/ready {\n", first,
      // a site may be for some visitors only, but who asks here gets nothing of it
      "    allow all;\n    auth_basic off;\n    satisfy all;\n"
      "    access_log off;\n    open_file_cache off;\n",
      unless(drain_flag(in.paths)), unless(drain_flag(in.paths, site)), unless(sealed_flag(in)),
      unless(maintenance_flag(in.paths, site)));
  if (service != nullptr)
    out += cat("    auth_request ", question, ";\n");
  out += cat("    error_page 401 403 500 502 503 504 = @chillbox_not_ready;\n    root ",
      in.paths.site(site), "/none;\n    try_files /none @chillbox_ready;\n  }\n");
  if (service == nullptr)
    return out;
  out += cat("  location = ", question, " {\n    internal;\n    access_log off;\n",
      "    error_log /dev/null emerg;\n    open_file_cache off;\n    set $chillbox_ready ",
      chooses_slot(in, *service) ? slot_upstream(in, *service, 0) : upstream_name(in, *service),
      ";\n");
  if (chooses_slot(in, *service))
    out += cat("    if (-f ", slot_flag(in.paths, site, service->service.str()),
        ") { set $chillbox_ready ", slot_upstream(in, *service, 1), "; }\n");
  const auto& health = service->health;
  const auto name = in.site->server_name.empty() ? std::string("$host") : in.site->server_name;
  return cat(out, k_answer_buffers, "    proxy_pass ",
      written_word(cat("http://$chillbox_ready", without_variables(health.path))),
      ";\n    proxy_method GET;\n    proxy_pass_request_body off;\n"
      "    proxy_pass_request_headers off;\n    proxy_http_version 1.0;\n"
      "    proxy_set_header Host ",
      name,
      ";\n    proxy_set_header Connection close;\n    proxy_next_upstream off;\n"
      "    proxy_connect_timeout 1s;\n    proxy_send_timeout 1s;\n    proxy_read_timeout ",
      health.timeout.count(), "ms;\n    proxy_intercept_errors on;\n    error_page ", k_redirects,
      health.declared ? std::string() : cat(" ", k_refusals), " = @chillbox_ready;\n  }\n");
}

constexpr std::string_view k_answers =
    "  location @chillbox_ready {\n    default_type text/plain;\n    add_header Cache-Control no-store always;\n"
    "    return 200 'ready\\n';\n  }\n"
    "  location @chillbox_not_ready {\n    default_type text/plain;\n    add_header Cache-Control no-store always;\n"
    "    return 503 'not ready\\n';\n  }\n";

} // namespace

std::string drain_flag(const os::Paths& paths) {
  return paths.sites() + "/.drain"; // no site's name begins with '.'
}

std::string drain_flag(const os::Paths& paths, const SiteName& site) {
  return paths.site(site) + "/drain";
}

std::string ready_location(const SiteInput& in) {
  return cat(ready(in, ""), k_answers);
}

std::string ready_comment(const SiteInput& in) {
  std::string line = ready(in, "    if ($chillbox_checks = 0) { return 404; }\n");
  std::ranges::replace(line, '\n', ' ');
  return cat(k_comment, line, "\n");
}

std::string host_ready(std::string_view site_text) {
  const auto second = site_text.substr(std::min(site_text.find('\n'), site_text.size() - 1) + 1);
  if (!second.starts_with(k_comment))
    return {};
  return std::string(second.substr(k_comment.size(), second.find('\n') + 1 - k_comment.size()));
}

bool has_ready(std::string_view site_text) {
  return !host_ready(site_text).empty();
}

std::string ready_file(const os::Paths& paths, const SiteName& site) {
  return cat(paths.state(), "/nginx/ready/", site.str(), ".conf");
}

std::string ready_askers(const config::HostConfig& host) {
  std::string out =
      "\n# Who may ask for /SITE/ready under the host's name: this machine, and nginx.checked_from of chillboxd.toml\n"
      "geo $chillbox_checks {\n  default 0;\n  127.0.0.0/8 1;\n  ::1 1;\n";
  for (const auto& from : host.checked_from)
    out += cat("  ", from, " 1;\n");
  return out + "}\n";
}

std::string ready_locations(const os::Paths& paths) {
  return cat("  include ", paths.state(), "/nginx/ready/*.conf;\n", k_answers);
}

} // namespace chillbox::nginx
