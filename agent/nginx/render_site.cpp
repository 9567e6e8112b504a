#include "base/text.hpp"
#include "config/expand.hpp"
#include "nginx/check.hpp"
#include "nginx/html_page.hpp"
#include "nginx/media_types.hpp"
#include "nginx/nginx.hpp"
#include "nginx/site_file.hpp"
#include "nginx/site_locations.hpp"
#include "nginx/site_pages.hpp"
#include "nginx/snippet.hpp"

#include <algorithm>

namespace chillbox::nginx {
namespace {

constexpr std::string_view k_gzip = R"(  gzip on;
  gzip_vary on;
  gzip_proxied any;
  gzip_comp_level 5;
  gzip_min_length 1024;
  gzip_types text/plain text/css text/javascript application/javascript application/json application/manifest+json
    application/xml application/rss+xml application/atom+xml application/wasm image/svg+xml font/ttf;
)";

// A cookie of a browser's may have 4 KB, and it sends all of them in one line.
constexpr std::string_view k_limits = R"(  client_max_body_size 32m;
  client_body_timeout 30s;
  large_client_header_buffers 8 32k;
  absolute_redirect off;
)";

// Of files only: what a service answers has the type that it says.
constexpr std::string_view k_types = R"(  types_hash_max_size 4096;
  charset_types text/html text/css text/javascript text/plain text/markdown text/csv text/tab-separated-values text/vtt
    text/calendar text/vcard;
)";

class SiteText {
public:
  explicit SiteText(const SiteInput& input)
      : m_in(input), m_site(*input.site), m_host(*input.host), m_slug(input.site->slug.str()),
        m_flag(maintenance_flag(input.paths, input.site->slug)) {}

  std::string whole() const {
    std::string out = cat("# Site '", m_slug,
        "', the default of chillboxd; changes are overwritten. A site brings its own in nginx/templates/.\n",
        upstreams(), answers_format());
    std::vector<std::string> others = m_site.domains;
    std::erase_if(others, [&](const std::string& name) { return is_served(name); });
    if (!others.empty())
      out += redirect(join(others, " "));
    return out + site_server();
  }

  std::string upstreams() const {
    std::string out;
    for (const auto& u : m_in.upstreams)
      if (serves_requests(u))
        out += cat("upstream ", upstream_name(m_in, u), " { server ",
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
            ? cat("  if (-f ", sealed_flag(m_in), ") { set $chillbox_maintenance 1; }\n")
            : std::string(),
        "  if ($uri ~ ^/\\.(?:chillbox|well-known)/) { set $chillbox_maintenance 0; }\n"
        "  if ($chillbox_maintenance) { return 503; }\n"
        "  error_page 503 /.chillbox/maintenance;\n",
        maintenance_location(m_in));
  }

private:
  bool is_served(const std::string& name) const {
    return name == m_site.server_name ||
        std::ranges::find(m_site.aliases, name) != m_site.aliases.end();
  }

  std::string served_names() const {
    std::vector<std::string> names{m_site.server_name};
    std::ranges::copy_if(m_site.aliases, std::back_inserter(names),
        [&](const std::string& name) { return name != m_site.server_name; });
    return join(names, " ");
  }

  std::string logs() const {
    const std::string dir = log_dir(m_in.paths, m_site.slug);
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

  // A trusted proxy may have been asked by https where this host has no certificate.
  std::string canonical() const {
    if (!m_in.certificate)
      return cat("$chillbox_scheme://", m_site.server_name, "$chillbox_port_suffix");
    return cat("https://", m_site.server_name, tls_port());
  }
  std::string tls_port() const {
    return m_host.https_port == 443 ? std::string() : cat(":", m_host.https_port);
  }

  std::string listens() const {
    std::string out = listen(m_host.http_port, m_in.ipv6);
    if (m_in.certificate)
      out += listen(m_host.https_port, m_in.ipv6, "ssl") + certificate();
    return out;
  }

  std::string certificate() const {
    const std::string dir = cat(m_in.paths.state(), "/certs/", m_slug);
    return tls_settings(dir + "/fullchain.pem", dir + "/privkey.pem");
  }

  // To the canonical name and scheme, with path and query as they came. 308 keeps the method.
  std::string redirect(const std::string& names) const {
    return cat("\nserver {\n", server_preamble("  ", m_site.slug), listens(), "  server_name ",
        names, ";\n  server_tokens off;\n", logs(), acme(), "  location / { return 308 ",
        canonical(), "$request_uri; }\n}\n");
  }

  std::string site_server() const {
    return cat("\nserver {\n", server_preamble("  ", m_site.slug),
        m_in.certificate ? cat("  if ($chillbox_to_tls) { return 308 https://$host", tls_port(),
                               "$request_uri; }\n")
                         : std::string(),
        listens(), "  server_name ", served_names(), ";\n  server_tokens off;\n", logs(),
        answers_directive("  ", m_in.paths, m_site.slug), k_limits, k_types, site_types("  "),
        k_gzip, security_headers("  ", m_in.certificate),
        "  add_header Cache-Control $chillbox_cache;\n", error_pages("  "), "\n", acme(),
        locations(m_in), maintenance_location(m_in), unavailable_location(m_in),
        too_large_location(), "}\n");
  }

  const SiteInput& m_in;
  const config::Site& m_site;
  const config::HostConfig& m_host;
  std::string m_slug, m_flag;
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

bool has_maintenance(std::string_view site_text, const os::Paths& paths, const SiteName& site) {
  return site_text.find(maintenance_flag(paths, site) + ")") != std::string_view::npos;
}

Result<std::string> render_site(const SiteInput& input) {
  if (!input.templates.empty() && !input.snippet.empty())
    return fail(Code::invalid,
        "nginx/server.conf is for the default text, and this site has nginx/templates/: take one of them out");
  if (!input.templates.empty())
    return from_templates(input);
  if (input.site->server_name.empty())
    return fail(Code::invalid, "server_name: needed, because the site brings no NGINX template");
  const std::string text = SiteText(input).whole();
  return input.snippet.empty() ? Result<std::string>(text) : with_snippet(input, text);
}

} // namespace chillbox::nginx
