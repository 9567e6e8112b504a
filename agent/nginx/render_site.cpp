#include "base/text.hpp"
#include "config/expand.hpp"
#include "nginx/check.hpp"
#include "nginx/counts.hpp"
#include "nginx/html_page.hpp"
#include "nginx/media_types.hpp"
#include "nginx/nginx.hpp"
#include "nginx/ready.hpp"
#include "nginx/site_file.hpp"
#include "nginx/site_locations.hpp"
#include "nginx/site_logs.hpp"
#include "nginx/site_pages.hpp"
#include "nginx/site_tls.hpp"
#include "nginx/snippet.hpp"
#include "nginx/status_page.hpp"
#include "nginx/visitor_headers.hpp"

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

// A cookie of a browser's may have 4 KB, and it sends all of them in one line. With a cache of open
// files, nginx.conf's own, the flags of maintenance and of slots would be seen a minute late.
constexpr std::string_view k_limits = R"(  client_max_body_size 32m;
  client_body_timeout 30s;
  large_client_header_buffers 8 32k;
  absolute_redirect off;
  open_file_cache off;
)";

// Of files only: what a service answers has the type that it says. (text/html always has one.)
constexpr std::string_view k_types_directive = R"(  types_hash_max_size 4096;
  charset_types text/css text/javascript text/plain text/markdown text/csv text/tab-separated-values text/vtt
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
        ready_comment(m_in), upstreams(), log_formats(m_in));
    std::vector<std::string> others = m_site.domains;
    std::erase_if(others, [&](const std::string& name) { return is_served(name); });
    if (!others.empty())
      out += redirect(join(others, " "));
    const auto [names, wildcards] = served_names();
    if (!wildcards.empty())
      out += site_server(wildcards, m_slug + ".wildcard");
    return out + site_server(names, m_slug);
  }

  std::string upstreams() const {
    std::string out;
    for (const auto& u : m_in.upstreams)
      if (chooses_slot(m_in, u))
        for (const size_t slot : {0, 1})
          out += upstream(slot_upstream(m_in, u, slot), cat("127.0.0.1:", u.slot_ports[slot]));
      else if (serves_requests(u))
        out += upstream(upstream_name(m_in, u),
            u.socket.empty() ? cat("127.0.0.1:", u.port) : cat("unix:", u.socket));
    return out;
  }

  // What the original wrote into SLUG.ssl_cert.include: where to listen, and the certificate when
  // there is one. And the maintenance page, for the whole server: the page's own location must not
  // be turned away, so the flag alone does not decide. only_one: http only without a certificate.
  std::string ssl_cert(bool only_one) const {
    return cat(only_one ? listen_include("  ", m_in.paths, m_site.slug)
                        : cat(listen(m_host, m_host.http_port, m_in.ipv6),
                              tls_include("  ", m_in.paths, m_slug), tls_redirect("  ", m_host)),
        "  add_header Strict-Transport-Security $chillbox_hsts always;\n  set $chillbox_maintenance 0;\n  if (-f ",
        m_flag, ") { set $chillbox_maintenance 1; }\n",
        m_site.confidential
            ? cat("  if (-f ", sealed_flag(m_in), ") { set $chillbox_maintenance 1; }\n")
            : std::string(),
        "  if ($uri ~ ^/\\.(?:chillbox|well-known)/) { set $chillbox_maintenance 0; }\n"
        "  if ($chillbox_maintenance) { return 503; }\n"
        "  error_page 503 /.chillbox/maintenance;\n",
        maintenance_location(m_in), status_location(m_in));
  }

private:
  std::string upstream(const std::string& name, const std::string& server) const {
    return cat("upstream ", name, " { server ", server, " max_fails=0; ",
        upstream_include(m_in.paths), " }\n");
  }

  bool is_served(const std::string& name) const {
    return name == m_site.server_name ||
        std::ranges::find(m_site.aliases, name) != m_site.aliases.end();
  }

  // By spaces: those that one certificate has, and the "*.NAME" that need one of their own.
  std::pair<std::string, std::string> served_names() const {
    std::vector<std::string> names{m_site.server_name}, wildcards;
    for (const auto& name : m_site.aliases)
      if (name.starts_with("*."))
        wildcards.push_back(name);
      else if (name != m_site.server_name)
        names.push_back(name);
    return {join(names, " "), join(wildcards, " ")};
  }

  std::string logs() const {
    return cat("  ", access_log(m_in), "  error_log ", log_dir(m_in.paths, m_site.slug),
        "/error.log warn;\n", counts_include("  ", m_in.paths, m_site.slug));
  }

  // What every server begins with.
  std::string begin(const std::string& id) const {
    return cat(server_preamble("  ", m_in), listen(m_host, m_host.http_port, m_in.ipv6),
        tls_include("  ", m_in.paths, id));
  }

  // To the canonical name and scheme, with path and query as they came. 308 keeps the method. A
  // trusted proxy may have been asked by https where this host has no certificate.
  std::string redirect(const std::string& names) const {
    const auto& name = m_site.server_name;
    return cat("\nserver {\n", begin(m_slug), "  set $chillbox_to $chillbox_scheme://", name,
        "$chillbox_port_suffix;\n  if ($chillbox_names ~ \"\\|", in_pattern(name),
        "\\|\") { set $chillbox_to https://", name, tls_port(m_host), "; }\n  server_name ", names,
        ";\n  server_tokens off;\n", logs(), challenge_location(m_host, m_in.paths),
        "  location / { return 308 $chillbox_to$request_uri; }\n}\n");
  }

  static std::string in_pattern(std::string_view name) {
    std::string out;
    for (const char c : name)
      out += c == '.' ? std::string("\\.") : std::string(1, c);
    return out;
  }

  std::string site_server(const std::string& names, const std::string& id) const {
    return cat("\nserver {\n", begin(id), tls_redirect("  ", m_host), "  server_name ", names,
        ";\n  server_tokens off;\n", logs(), k_limits, k_types_directive, site_types("  "), k_gzip,
        security_headers("  "), "  add_header Cache-Control $chillbox_cache;\n", error_pages("  "),
        "\n", slot_choice(m_in), challenge_location(m_host, m_in.paths), ready_location(m_in),
        status_location(m_in), locations(m_in), maintenance_location(m_in),
        unavailable_location(m_in), too_large_location(), "}\n");
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
  auto listens_itself = TRY(parse(ours.ssl_cert(false)));
  auto has_http_server = TRY(parse(ours.ssl_cert(true)));
  const Provided provided{std::move(listens_itself), std::move(has_http_server)};
  std::string out = cat("# Site '", in.site->slug.str(),
      "', from its own nginx/templates/; changes are overwritten.\n", ready_comment(in),
      ours.upstreams(), log_formats(in));
  auto good = TRY(checked(std::move(templates), in, provided));
  for (auto& t : good) {
    own_visitor_headers(t.nodes);
    out += cat("\n# ", t.name.substr(t.name.rfind('/') + 1), "\n", write(t.nodes));
  }
  return out;
}

} // namespace

std::string maintenance_flag(const os::Paths& paths, const SiteName& site) {
  return paths.site(site) + "/maintenance";
}

std::string slot_flag(const os::Paths& paths, const SiteName& site, const std::string& service) {
  return cat(paths.live(site), "/", service, ".b");
}

bool has_maintenance(std::string_view site_text) {
  return site_text.find("error_page 503 /.chillbox/maintenance") != std::string_view::npos;
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
