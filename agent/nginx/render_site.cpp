#include "base/text.hpp"
#include "config/expand.hpp"
#include "nginx/check.hpp"
#include "nginx/html_page.hpp"
#include "nginx/names.hpp"
#include "nginx/nginx.hpp"

#include <algorithm>

namespace chillbox::nginx {
namespace {

constexpr std::string_view k_proxy = R"(    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Forwarded-Port $server_port;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $chillbox_connection;
    proxy_set_header Proxy "";
    proxy_next_upstream off;
    proxy_redirect off;
    proxy_connect_timeout 5s;
    proxy_send_timeout 60s;
    proxy_read_timeout 120s;
)";

constexpr std::string_view k_gzip = R"(  gzip on;
  gzip_vary on;
  gzip_proxied any;
  gzip_comp_level 5;
  gzip_min_length 1024;
  gzip_types text/plain text/css text/javascript application/javascript application/json application/manifest+json
    application/xml application/rss+xml application/atom+xml application/wasm image/svg+xml font/ttf;
)";

constexpr std::string_view k_maintenance_title = "Back soon";
constexpr std::string_view k_maintenance_text =
    "This site is under maintenance. Please try again in a few minutes.";

bool serves_requests(const Upstream& u) {
  return !u.socket.empty() || u.port != 0;
}

class SiteText {
public:
  explicit SiteText(const SiteInput& input)
      : m_in(input), m_site(*input.site), m_host(*input.host), m_slug(input.site->slug.str()),
        m_current(input.paths.current(input.site->slug)),
        m_flag(maintenance_flag(input.paths, input.site->slug)) {}

  std::string whole() const {
    std::string out = cat("# Site '", m_slug,
        "', the default of chillboxd; changes are overwritten. A site brings its own in nginx/templates/.\n",
        upstreams(), answers_format());
    if (m_site.domains.size() > 1)
      out +=
          redirect(join({m_site.domains.begin() + 1, m_site.domains.end()}, " "), m_in.certificate);
    if (m_in.certificate)
      out += redirect(m_site.server_name, false);
    return out + site_server();
  }

  std::string upstreams() const {
    std::string out;
    for (const auto& u : m_in.upstreams)
      if (serves_requests(u))
        out += cat("upstream ", upstream_name(u), " { server ",
            u.socket.empty() ? cat("127.0.0.1:", u.port) : cat("unix:", u.socket),
            " max_fails=0; }\n");
    return out;
  }

  // What of the services' answers is written down for the watch of a release, and nothing else: no
  // byte of it is a visitor's.
  std::string answers_format() const {
    return cat(
        "log_format ", m_slug, "-answers '$msec $upstream_status $upstream_response_time';\n");
  }

  // What the original wrote into SLUG.ssl_cert.include: where to listen, and the certificate when
  // there is one. And the maintenance page, for the whole server: the page's own location must not
  // be turned away, so the flag alone does not decide.
  std::string ssl_cert() const {
    return cat(m_in.certificate ? cat(listen(m_host.https_port, m_in.ipv6, "ssl"), certificate())
                                : listen(m_host.http_port, m_in.ipv6),
        "  set $chillbox_maintenance 0;\n  if (-f ", m_flag, ") { set $chillbox_maintenance 1; }\n",
        m_site.confidential
            ? cat("  if (-f ", sealed_flag(), ") { set $chillbox_maintenance 1; }\n")
            : std::string(),
        "  if ($uri ~ ^/\\.(?:chillbox|well-known)/) { set $chillbox_maintenance 0; }\n"
        "  if ($chillbox_maintenance) { return 503; }\n",
        maintenance_location());
  }

private:
  std::string upstream_name(const Upstream& u) const {
    return Names(m_site.slug).own_upstream(cat(m_slug, "-", u.service.str()));
  }

  std::string logs() const {
    const std::string dir = cat(m_in.paths.root, "/var/log/nginx/", m_slug);
    return cat(
        "  access_log ", dir, "/access.log combined;\n  error_log ", dir, "/error.log warn;\n");
  }

  // Certificates come and go without the site, and before there is any of them this is how the
  // first one is got.
  std::string acme() const {
    return cat(
        "  location ^~ /.well-known/acme-challenge/ {\n    default_type text/plain;\n    root ",
        m_in.paths.state(), "/acme;\n  }\n");
  }

  std::string canonical() const {
    const uint16_t port = m_in.certificate ? m_host.https_port : m_host.http_port;
    const uint16_t usual = m_in.certificate ? 443 : 80;
    return cat(m_in.certificate ? "https://" : "http://", m_site.server_name,
        port == usual ? std::string() : cat(":", port));
  }

  std::string certificate() const {
    const std::string dir = cat(m_in.paths.state(), "/certs/", m_slug);
    return tls_settings(dir + "/fullchain.pem", dir + "/privkey.pem");
  }

  // To the canonical name and scheme, with path and query as they came. 308 keeps the method.
  std::string redirect(const std::string& names, bool with_tls) const {
    std::string out = cat(
        "\nserver {\n", server_preamble("  ", m_site.slug), listen(m_host.http_port, m_in.ipv6));
    if (with_tls)
      out += listen(m_host.https_port, m_in.ipv6, "ssl") + certificate();
    return cat(out, "  server_name ", names, ";\n  server_tokens off;\n", logs(), acme(),
        "  location / { return 308 ", canonical(), "$request_uri; }\n}\n");
  }

  std::string site_server() const {
    std::string out = cat("\nserver {\n", server_preamble("  ", m_site.slug));
    out += m_in.certificate ? listen(m_host.https_port, m_in.ipv6, "ssl") + certificate()
                            : listen(m_host.http_port, m_in.ipv6);
    out += cat("  server_name ", m_site.server_name, ";\n  server_tokens off;\n", logs(),
        answers_directive("  ", m_in.paths, m_site.slug),
        "  client_max_body_size 32m;\n  client_body_timeout 30s;\n", k_gzip,
        security_headers("  ", m_in.certificate), "  add_header Cache-Control $chillbox_cache;\n\n",
        acme());
    out += "  location ~ /\\.(?!well-known/) { return 404; }\n";
    const Upstream* first = front();
    for (const auto& u : m_in.upstreams)
      if (&u != first)
        out += location_of(u);
    out += immutable();
    out += first != nullptr ? front_location(*first) : static_location("/", root_of_static());
    return cat(out, failures(), "}\n");
  }

  const Upstream* front() const {
    const auto found = std::ranges::find_if(m_in.upstreams,
        [](const Upstream& u) { return u.front && (serves_requests(u) || !u.files.empty()); });
    if (found != m_in.upstreams.end())
      return &*found;
    const auto files =
        std::ranges::find_if(m_in.upstreams, [](const Upstream& u) { return !u.files.empty(); });
    return files == m_in.upstreams.end() ? nullptr : &*files;
  }

  std::string root_of_static() const { return m_current + "/nginx/root"; }

  std::string front_location(const Upstream& u) const {
    return serves_requests(u) ? proxy_location("/", u)
                              : static_location("/", cat(m_current, "/", u.files));
  }

  std::string location_of(const Upstream& u) const {
    const std::string at = cat("/", u.service.str(), "/");
    if (serves_requests(u))
      return proxy_location(at, u);
    if (u.files.empty())
      return {};
    // Folders other than the service's own are laid out by the paths of their pages, as a service
    // that runs is asked for them.
    return static_location(
        at, u.files == u.service.str() ? m_current : cat(m_current, "/", u.files));
  }

  std::string proxy_location(std::string_view at, const Upstream& u) const {
    return cat("  location ", at, " {\n", maintenance(), "    proxy_pass http://", upstream_name(u),
        ";\n", k_proxy, "  }\n");
  }

  std::string static_location(std::string_view at, const std::string& root) const {
    return cat("  location ", at, " {\n", maintenance(), away(), "    root ", root,
        ";\n    index index.html;\n    try_files $uri $uri/ =404;\n  }\n");
  }

  std::string immutable() const {
    if (std::ranges::none_of(m_in.upstreams, &Upstream::hashed))
      return {};
    return cat("  location ^~ /immutable/ {\n    root ", m_in.paths.site(m_site.slug),
        ";\n    try_files $uri =404;\n", security_headers("    ", m_in.certificate),
        "    add_header Cache-Control \"public, max-age=31536000, immutable\";\n  }\n");
  }

  std::string maintenance() const { return cat("    if (-f ", m_flag, ") { return 503; }\n"); }

  // Of a site in memory only nothing exists until the host is unlocked, its files neither: the
  // page is that of a service that does not answer.
  std::string away() const {
    return m_site.confidential ? cat("    if (-f ", sealed_flag(), ") { return 502; }\n")
                               : std::string();
  }
  std::string sealed_flag() const { return cat(m_in.paths.run(), "/sealed/", m_slug); }

  // From the file that `chillboxctl maintenance on` wrote; someone who made the flag by hand gets a
  // page with words of ours. As a page by its path, not by a name, because what a POST asked for is
  // then got as a file.
  std::string maintenance_location() const {
    return cat("  error_page 503 /.chillbox/maintenance;\n"
               "  location = /.chillbox/maintenance {\n    internal;\n    root ",
        m_in.paths.site(m_site.slug),
        ";\n"
        "    try_files /maintenance.html @chillbox_maintenance;\n",
        maintenance_headers(), "  }\n  location @chillbox_maintenance {\n", maintenance_headers(),
        "    return 503 ", page(k_maintenance_title, k_maintenance_text), ";\n  }\n");
  }

  static std::string maintenance_headers() {
    return "    default_type text/html;\n    charset utf-8;\n    add_header Retry-After 120 always;\n    add_header Cache-Control no-store always;\n"
           "    add_header X-Content-Type-Options nosniff always;\n    etag off;\n    if_modified_since off;\n    max_ranges 0;\n";
  }

  // A service that cannot be reached: because the host is locked, or because it is down. What a
  // service answers itself is passed on.
  std::string failures() const {
    return cat(maintenance_location(),
        "  error_page 502 504 = @unavailable;\n"
        "  location @unavailable {\n    default_type text/html;\n    add_header Cache-Control no-store always;\n    if (-f ",
        sealed_flag(),
        ") {\n      add_header Retry-After 300 always;\n      add_header Cache-Control no-store always;\n      return 503 ",
        page("Locked",
            "This host was restarted and waits for its owner to unlock it. Please try again later."),
        ";\n    }\n    return 502 ",
        page("Not available", "This site does not answer at the moment. Please try again later."),
        ";\n  }\n");
  }

  const SiteInput& m_in;
  const config::Site& m_site;
  const config::HostConfig& m_host;
  std::string m_slug, m_current, m_flag;
};

Result<std::string> from_templates(const SiteInput& in) {
  const SiteText ours(in);
  std::vector<Template> templates;
  for (const auto& [name, text] : in.templates) {
    const std::string file = cat("nginx/templates/", printable(name, 100));
    const auto expanded = TRY_IN(file, config::expand_template(text, in.variables));
    auto nodes = TRY_IN(file, parse(expanded));
    templates.push_back({file, std::move(nodes)});
  }
  const auto provided = TRY(parse(ours.ssl_cert()));
  std::string out = cat("# Site '", in.site->slug.str(),
      "', from its own nginx/templates/; changes are overwritten.\n", ours.upstreams(),
      ours.answers_format());
  const auto good = TRY(checked(std::move(templates), in, provided));
  for (const auto& t : good)
    out += cat("\n# ", t.name.substr(t.name.rfind('/') + 1), "\n", write(t.nodes));
  return out;
}

} // namespace

std::string answers_log(const os::Paths& paths, const SiteName& site) {
  return cat(answers_dir(paths), "/", site.str(), ".log");
}
std::string answers_dir(const os::Paths& paths) {
  return paths.state() + "/nginx/answers";
}
std::string maintenance_flag(const os::Paths& paths, const SiteName& site) {
  return paths.site(site) + "/maintenance";
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

bool has_maintenance(std::string_view site_text, const os::Paths& paths, const SiteName& site) {
  return site_text.find(maintenance_flag(paths, site) + ")") != std::string_view::npos;
}

Result<std::string> render_site(const SiteInput& input) {
  if (!input.templates.empty())
    return from_templates(input);
  if (input.site->server_name.empty())
    return fail(Code::invalid, "server_name: needed, because the site brings no NGINX template");
  return SiteText(input).whole();
}

} // namespace chillbox::nginx
