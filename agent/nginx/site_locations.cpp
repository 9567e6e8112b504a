#include "nginx/site_locations.hpp"

#include "base/text.hpp"
#include "nginx/html_page.hpp"
#include "nginx/media_types.hpp"
#include "nginx/names.hpp"
#include "nginx/site_pages.hpp"
#include "nginx/visitor_headers.hpp"

#include <algorithm>
#include <array>

namespace chillbox::nginx {
namespace {

constexpr std::string_view k_proxy = R"(    proxy_http_version 1.1;
    proxy_set_header Host $chillbox_name;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $chillbox_connection;
    proxy_next_upstream off;
    proxy_redirect off;
    proxy_connect_timeout 5s;
)";

// Of the files of a site none whose name begins with '.' is published, nor what version control
// and the like keep in folders of such a name. A page's own folder (/tags/.net/) is.
constexpr std::string_view k_hidden =
    "    location ~ \"/\\.(?:git|github|gitlab|gitea|forgejo|circleci|svn|hg|bzr|ssh|aws|gnupg|docker|kube|terraform|ansible|idea|vscode)/\" { return 404; }\n"
    "    location ~ \"/\\.[^/]*$\" {\n      if (!-d $request_filename) { return 404; }\n    }\n";

// What a visitor uploaded runs nowhere: a page or a drawing is in a sandbox without scripts, and a
// browser takes no script or style from here because neither has its type.
constexpr std::string_view k_upload_headers =
    "    add_header X-Content-Type-Options nosniff always;\n"
    "    add_header Content-Security-Policy $chillbox_upload_policy always;\n"
    "    add_header Content-Disposition $chillbox_upload_disposition;\n"
    "    add_header X-Frame-Options SAMEORIGIN always;\n"
    "    add_header Referrer-Policy strict-origin-when-cross-origin always;\n";

// By its place: a service's name may have what a variable's may not.
std::string slot_variable(const SiteInput& in, const Upstream& u) {
  return cat("$chillbox_slot_", &u - in.upstreams.data());
}

class Locations {
public:
  explicit Locations(const SiteInput& in)
      : m_in(in), m_current(in.paths.current(in.site->slug)), m_check(maintenance_check(in)) {}

  std::string all() const {
    std::string out;
    const Upstream* first = front(m_in);
    for (const auto& u : m_in.upstreams) {
      if (&u != first)
        out += location_of(u, u.web.at.empty() ? cat("/", u.service.str(), "/") : u.web.at);
      for (const auto& [at, folder] : u.web.paths)
        out += published(u, at, folder);
    }
    out += immutable();
    return out +
        (first != nullptr ? location_of(*first, "/") : files("/", m_current + "/nginx/root", {}));
  }

private:
  std::string location_of(const Upstream& u, const std::string& at) const {
    if (serves_requests(u))
      return proxied(u, at);
    if (u.files.empty())
      return {};
    // Folders other than the service's own are laid out by the paths of their pages, as a service
    // that runs is asked for them.
    const bool own = u.files == u.service.str();
    if (at == "/" || (!own && u.web.at.empty()))
      return files(at, cat(m_current, "/", u.files), u.web);
    if (at == cat("/", u.files, "/"))
      return files(at, m_current, u.web);
    return files(at, cat(m_current, "/", u.files, "/"), u.web);
  }

  std::string proxied(const Upstream& u, const std::string& at) const {
    std::string out = cat("  location ", at, " {\n", m_check, "    proxy_pass http://",
        chooses_slot(m_in, u) ? slot_variable(m_in, u) : upstream_name(m_in, u), ";\n",
        k_answer_buffers, k_proxy, visitor_headers());
    const auto ms = u.web.request_timeout.value_or(config::k_request_timeout).count();
    return cat(out, "    proxy_send_timeout ", ms, "ms;\n    proxy_read_timeout ", ms,
        "ms;\n    client_max_body_size ", u.web.body_max, ";\n  }\n");
  }

  // As NGINX itself answers where it passes requests on.
  std::string without_slash(const std::string& at) const {
    const std::string place = at.substr(0, at.size() - 1);
    if (at == "/" || says_itself(place))
      return {};
    return cat("  location = ", place, " { return 301 ", at, "$is_args$args; }\n");
  }

  // Of the site's own lines: a second location of the same place would be refused. NGINX takes "="
  // with and without a space.
  bool says_itself(const std::string& place) const {
    const auto own = parse(m_in.snippet).value_or(std::vector<Node>{});
    return std::ranges::any_of(own, [&](const Node& node) {
      return node.words[0] == "location" &&
          join({node.words.begin() + 1, node.words.end()}, "") == cat("=", place);
    });
  }

  // A folder that ends with '/' replaces `at`; another contains it. A folder without an index page
  // is not there for visitors.
  std::string files(
      const std::string& at, const std::string& folder, const config::Web& web) const {
    const bool is_alias = folder.ends_with('/');
    const bool falls_back = !web.fallback.empty();
    std::string out = cat(without_slash(at), "  location ", at, " {\n", m_check, away(),
        is_alias ? "    alias " : "    root ", folder,
        ";\n    index index.html;\n    charset utf-8;\n", error_pages("    "),
        "    error_page 404 ", at, web.not_found,
        ";\n    error_page 403 =", falls_back ? "200 " : "404 ", at,
        falls_back ? web.fallback : web.not_found, ";\n    try_files $uri $uri/ ",
        falls_back ? cat(at, web.fallback) : "=404", ";\n", k_hidden);
    if (falls_back) // where no `if` is inherited
      out += cat("    location ~* \"", asset_pattern(), "\" {\n", m_check, away(), "    }\n");
    return out + "  }\n";
  }

  // "web/staticfiles" of the release, or "data:media" of the service's data directory.
  std::string published(const Upstream& u, const std::string& at, const std::string& folder) const {
    constexpr std::string_view k_data = "data:";
    if (!folder.starts_with(k_data))
      return cat("  location ^~ ", at, " {\n", m_check, away(), "    alias ", m_current, "/",
          folder, "/;\n    charset utf-8;\n    try_files $uri =404;\n", k_hidden, "  }\n");
    const std::string data = m_in.paths.data(m_in.site->slug);
    return cat("  location ^~ ", at, " {\n", m_check, "    alias ", data, "/", u.service.str(), "/",
        folder.substr(k_data.size()), "/;\n    disable_symlinks on from=", data,
        ";\n    try_files $uri =404;\n", upload_types("    "), k_upload_headers, "  }\n");
  }

  std::string immutable() const {
    if (std::ranges::none_of(m_in.upstreams, &Upstream::hashed))
      return {};
    return cat("  location ^~ /immutable/ {\n    root ", m_in.paths.site(m_in.site->slug),
        ";\n    charset utf-8;\n    try_files $uri =404;\n", security_headers("    "),
        "    add_header Cache-Control $chillbox_immutable;\n", k_hidden, "  }\n");
  }

  // Of a site in memory only nothing exists until the host is unlocked, its files neither: the
  // page is that of a service that does not answer.
  std::string away() const {
    return m_in.site->confidential ? cat("    if (-f ", sealed_flag(m_in), ") { return 502; }\n")
                                   : std::string();
  }

  const SiteInput& m_in;
  std::string m_current, m_check;
};

} // namespace

// Not where the site names the upstream itself, or keeps what is known of a file (slot_choice).
bool chooses_slot(const SiteInput& in, const Upstream& u) {
  const std::string snippet = lower(in.snippet);
  const auto says = [&](std::string_view word) { return snippet.find(word) != std::string::npos; };
  return u.socket.empty() && u.slot_ports[0] != 0 && u.slot_ports[1] != 0 && in.templates.empty() &&
      !says(lower(cat(in.site->slug.str(), "-", u.service.str()))) && !says("open_file_cache");
}

std::string slot_upstream(const SiteInput& in, const Upstream& u, size_t slot) {
  return cat(slot == 0 ? "a." : "b.", upstream_name(in, u));
}

// For each request, before its location is chosen: one look at a file for each service. It is a
// look only without an open_file_cache, by which a file that was removed still exists for a minute.
std::string slot_choice(const SiteInput& in) {
  std::string out;
  for (const auto& u : in.upstreams)
    if (chooses_slot(in, u))
      out += cat("  set ", slot_variable(in, u), " ", slot_upstream(in, u, 0), ";\n  if (-f ",
          slot_flag(in.paths, in.site->slug, u.service.str()), ") { set ", slot_variable(in, u),
          " ", slot_upstream(in, u, 1), "; }\n");
  return out;
}

std::string upstream_name(const SiteInput& in, const Upstream& u) {
  return Names(in.site->slug).own_upstream(cat(in.site->slug.str(), "-", u.service.str()));
}

bool serves_requests(const Upstream& u) {
  return !u.socket.empty() || u.port != 0;
}

std::string maintenance_check(const SiteInput& in) {
  return cat("    if (-f ", maintenance_flag(in.paths, in.site->slug), ") { return 503; }\n");
}

// The one that says so, else the first that may, by its kind.
const Upstream* front(const SiteInput& in) {
  const auto first = [&](auto test) -> const Upstream* {
    const auto found = std::ranges::find_if(in.upstreams, test);
    return found == in.upstreams.end() ? nullptr : &*found;
  };
  const auto answers = [](const Upstream& u) { return serves_requests(u) || !u.files.empty(); };
  if (const auto* said = first([&](const Upstream& u) { return u.web.at == "/" && answers(u); }))
    return said;
  const auto may = [&](const Upstream& u) { return u.web.at.empty() && answers(u); };
  if (const auto* kind = first([&](const Upstream& u) { return u.front && may(u); }))
    return kind;
  return first([&](const Upstream& u) { return !u.files.empty() && may(u); });
}

std::string locations(const SiteInput& in) {
  return Locations(in).all();
}

} // namespace chillbox::nginx
