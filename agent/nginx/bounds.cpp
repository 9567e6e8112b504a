#include "nginx/bounds.hpp"

#include "base/text.hpp"
#include "nginx/names.hpp"

#include <algorithm>
#include <array>

namespace chillbox::nginx {
namespace {

// Templates of the original have the files of ACME below it.
constexpr std::string_view k_acme_of_original = "/srv/chillbox";
// What a variable for the port of a service that is not started has (rollout/ports.cpp).
constexpr uint64_t k_nobodys_port = 1;

bool is_at_or_below(std::string_view path, std::string_view dir) {
  return path == dir || (path.starts_with(dir) && path.substr(dir.size()).starts_with('/'));
}

// Literal up to the first mark.
std::string_view literal_part(std::string_view expanded) {
  return expanded.substr(0, expanded.find_first_of(std::string_view("\1\2\3", 3)));
}

bool is_file_name(std::string_view name) {
  return !name.empty() && name[0] != '.' && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
        c == '_' || c == '-';
  });
}

std::string_view without_scheme(std::string_view target) {
  const auto at = target.find("://");
  return at == std::string_view::npos ? target : target.substr(at + 3);
}

std::string_view usual_port(std::string_view target) {
  return target.starts_with("https://") || target.starts_with("grpcs://") ? "443" : "80";
}

// Of an URL or a plain host name in chillboxd.toml.
std::string host_of(std::string_view url) {
  return std::string(url.substr(host_in(url).at, host_in(url).length));
}

std::string shown(std::string_view text) {
  return cat("'", printable(text, 120), "'");
}

} // namespace

Place host_in(std::string_view target) {
  const auto scheme = target.find("://");
  const size_t at = scheme == std::string_view::npos ? 0 : scheme + 3;
  const auto rest = target.substr(at);
  if (rest.starts_with("unix:"))
    return {};
  if (rest.starts_with('[')) {
    const auto close = rest.find(']');
    return {at, close == std::string_view::npos ? rest.size() : close + 1};
  }
  return {at, std::min(rest.find_first_of(std::string_view(":/?#\1\2\3", 7)), rest.size())};
}

Bounds::Bounds(const SiteInput& input)
    : m_in(input), m_slug(input.site->slug.str()),
      m_log_dir(cat(input.paths.root, "/var/log/nginx/", m_slug)),
      m_cache_dir(cat(input.paths.root, "/var/cache/nginx/", m_slug)) {
  const auto& paths = input.paths;
  const auto& site = input.site->slug;
  m_readable = {paths.current(site), paths.immutable(site), cat(paths.root, "/srv/", m_slug),
      cat(paths.root, "/usr/local/src/", m_slug), paths.state() + "/acme"};
  for (const auto& allowed : input.host->nginx_allow_paths)
    m_readable.push_back(allowed);
}

Problem Bounds::clean(std::string_view expanded) {
  if (expanded.find(k_visitors_own) != std::string_view::npos)
    return "a visitor could choose the file: a path may have $uri, $host, a named group without '.' and '/', such as (?<lang>en|de), one of the "
           "location's pattern that begins after a '/' and extends to its end, and variables to which the template itself assigns values";
  if (expanded.find("..") != std::string_view::npos)
    return "a path may not have '..'";
  for (size_t at = 0; at + 1 < expanded.size(); ++at)
    if (expanded[at] == '.' &&
        (expanded[at + 1] == k_normal_uri || expanded[at + 1] == k_safe_part))
      return "a path may not have a '.' right before a variable";
  return std::nullopt;
}

bool Bounds::allows_path(std::string_view path) const {
  return path.find("..") == std::string_view::npos &&
      std::ranges::any_of(
          m_in.host->nginx_allow_paths, [&](const auto& dir) { return is_at_or_below(path, dir); });
}

Problem Bounds::path(std::string_view expanded) const {
  if (auto wrong = clean(expanded))
    return wrong;
  const auto literal = literal_part(expanded);
  const bool ends = literal.size() == expanded.size();
  // Behind a name of the directory itself: a group that ends before a line feed may be "..", once.
  const size_t more = expanded.find(k_safe_part) != std::string_view::npos ? 1 : 0;
  const auto inside = [&](const std::string& dir) {
    return (literal.starts_with(dir + "/") && literal.size() > dir.size() + more) ||
        (ends && literal == dir);
  };
  if (std::ranges::any_of(m_readable, inside))
    return std::nullopt;
  const std::string data = m_in.paths.data(m_in.site->slug) + "/";
  if (literal.starts_with(data) && literal.size() > data.size())
    return std::nullopt;
  return cat("may only be below ", m_in.paths.current(m_in.site->slug), ", ",
      m_in.paths.immutable(m_in.site->slug), ", /srv/", m_slug, ", /usr/local/src/", m_slug, " or ",
      data, "SERVICE; chillboxd.toml may allow more: nginx.allow_paths");
}

Problem Bounds::tested_path(std::string_view expanded) const {
  const auto rest = expanded.substr(std::min(expanded.size(), size_t{1}));
  if (expanded.starts_with(k_normal_uri)) // $request_filename, $document_root: checked at `root`
    return clean(rest);
  return path(expanded);
}

std::string Bounds::real_path(const std::string& word) const {
  const std::string acme = m_in.paths.state() + "/acme";
  for (const std::string_view end : {"", "/"})
    if (word == cat(k_acme_of_original, end))
      return acme;
  const std::string below = cat(k_acme_of_original, "/.well-known/");
  return word.starts_with(below) ? acme + word.substr(k_acme_of_original.size()) : word;
}

Problem Bounds::log(std::string_view path, bool error_log) const {
  if (path == "/dev/null" || (path == "off" && !error_log))
    return std::nullopt;
  const bool inside = path.starts_with(m_log_dir + "/");
  const auto name = inside ? path.substr(m_log_dir.size() + 1) : std::string_view();
  if (inside && is_file_name(name) && name.ends_with(".log"))
    return std::nullopt;
  return cat(shown(path), ": a log is ", m_log_dir, "/NAME.log", error_log ? "" : " or off");
}

Problem Bounds::cache(std::string_view path) const {
  if (path == m_cache_dir ||
      (path.starts_with(m_cache_dir + "/") && is_file_name(path.substr(m_cache_dir.size() + 1))))
    return std::nullopt;
  return cat(shown(path), ": a cache is ", m_cache_dir, " or a directory in it");
}

Problem Bounds::certificate(std::string_view path, bool is_public) const {
  const auto in = [&](const std::string& dir) {
    return path.starts_with(dir + "/") && is_file_name(path.substr(dir.size() + 1));
  };
  if (in(cat(m_in.paths.state(), "/certs/", m_slug)) || allows_path(path))
    return std::nullopt;
  for (const auto& domain : m_in.site->domains)
    if (in("/etc/letsencrypt/live/" + domain))
      return std::nullopt;
  if (is_public && (path == "/etc/ssl/certs/ca-certificates.crt" || path == "/etc/ssl/cert.pem"))
    return std::nullopt;
  return cat(shown(path), ": certificates and keys are below ", m_in.paths.state(), "/certs/",
      m_slug, " or /etc/letsencrypt/live/",
      m_in.site->server_name.empty() ? "NAME" : m_in.site->server_name,
      "; chillboxd.toml may allow more: nginx.allow_paths");
}

Problem Bounds::server_name(std::string_view name) const {
  const auto own = [&](std::string_view text) {
    return std::ranges::find(m_in.site->domains, lower(text)) != m_in.site->domains.end();
  };
  if (own(name) || (name.starts_with('.') && own(name.substr(1))) ||
      (name.starts_with("*.") && own(name.substr(2))))
    return std::nullopt;
  return cat(shown(name),
      " is not a name of this site: put it into domain_list of the site file, or write .NAME for all names below one of the site's");
}

Problem Bounds::listen(const std::vector<std::string>& words) const {
  const std::string_view where = words[1];
  const auto colon = where.ends_with(']') ? std::string_view::npos : where.rfind(':');
  const auto address = colon == std::string_view::npos
      ? (parse_u64(where) ? std::string_view() : where)
      : where.substr(0, colon);
  const auto number = parse_u64(colon == std::string_view::npos && address.empty()
          ? where
          : where.substr(std::min(where.size(), colon + 1)));
  const auto port = number.value_or(0);
  if (colon == std::string_view::npos ? !address.empty() : !number)
    return cat(shown(where), ": write a port, such as ", m_in.host->http_port,
        " or [::]:", m_in.host->http_port);
  const bool shared = port == m_in.host->http_port || port == m_in.host->https_port;
  const bool loopback = address == "127.0.0.1" || address == "[::1]" || address == "localhost";
  if (!address.empty() && address != "*" && address != "0.0.0.0" && address != "[::]" &&
      !(loopback && !shared))
    return cat(shown(where),
        ": a site may listen only on a whole port, not on one address of it, where others' visitors arrive, too");
  if (port > UINT16_MAX || (port < 1024 && !shared))
    return cat("listens on port ", port, ": below 1024 sites may use only ", m_in.host->http_port,
        " and ", m_in.host->https_port);
  const bool ssl = std::ranges::find(words, "ssl") != words.end();
  if (shared && ssl != (port == m_in.host->https_port))
    return cat("port ", port,
        ssl ? " has no TLS, for all sites: remove 'ssl'" : " has TLS, for all sites: add 'ssl'");
  for (size_t at = 2; at < words.size(); ++at) {
    const auto& option = words[at];
    if (option == "ssl" || option == "ipv6only=on" || (option == "http2" && ssl))
      continue;
    return cat(shown(option),
        " would apply to the port of all sites: a site may give only ssl and, with it, http2");
  }
  return std::nullopt;
}

bool Bounds::is_own_port(std::string_view port) const {
  const auto number = parse_u64(port);
  return number && *number != 0 &&
      (*number == k_nobodys_port || std::ranges::any_of(m_in.upstreams, [&](const Upstream& u) {
        return u.port == *number;
      }));
}

Problem Bounds::socket(std::string_view path) const {
  if (std::ranges::any_of(
          m_in.upstreams, [&](const Upstream& u) { return !u.socket.empty() && u.socket == path; }))
    return std::nullopt;
  return cat(
      shown(path), " is not a socket of this site's services: write http://", m_slug, "-SERVICE");
}

Problem Bounds::target(std::string_view expanded, bool own) const {
  const auto rest = without_scheme(expanded);
  if (rest.starts_with("unix:"))
    return socket(rest.substr(5, rest.find(':', 5) - 5));
  const auto host = host_in(expanded);
  const std::string name = lower(expanded.substr(host.at, host.length));
  auto behind = expanded.substr(host.at + host.length);
  std::string_view port;
  if (behind.starts_with(':')) {
    behind.remove_prefix(1);
    port = behind.substr(0, std::min(behind.find_first_not_of("0123456789"), behind.size()));
    behind.remove_prefix(port.size());
  }
  if (!behind.empty() && behind[0] != '/' && behind[0] != '?' && behind[0] != k_normal_uri)
    return cat(shown(literal_part(expanded)),
        " and a variable: a visitor could choose the server: write its name and a '/' before a variable");
  if ((own && port.empty()) || (name.empty() && port.empty())) // no server: NGINX answers 500
    return std::nullopt;
  if (name == k_immutable_host && port.empty())
    return behind.starts_with(cat("/", m_slug, "/immutable/"))
        ? Problem()
        : cat("on ", k_immutable_host, " only /", m_slug, "/immutable/ is this site's");
  if ((name == "localhost" || name == "127.0.0.1" || name == "[::1]") && is_own_port(port))
    return std::nullopt;
  const std::string whole = cat(name, ":", port.empty() ? usual_port(expanded) : port);
  const auto usual = cat(name, ":", usual_port(expanded));
  const auto matches = [&](const std::string& allowed) {
    return lower(allowed) == whole || (lower(allowed) == name && whole == usual);
  };
  const auto& h = *m_in.host;
  if (std::ranges::any_of(h.nginx_allow_upstreams, matches) ||
      (!name.empty() && whole == usual &&
          (name == lower(host_of(h.immutable_bucket_domain)) ||
              name == lower(host_of(h.s3_endpoint_url)))))
    return std::nullopt;
  return cat(shown(whole), " is not one of this site's services: write http://", m_slug,
      "-SERVICE, or a port that is PORT of a service; chillboxd.toml may allow more: nginx.allow_upstreams");
}

bool Bounds::allows_directive(std::string_view name) const {
  return std::ranges::find(m_in.host->nginx_allow_directives, name) !=
      m_in.host->nginx_allow_directives.end();
}
bool Bounds::allows_variable(std::string_view name) const {
  return std::ranges::find(m_in.host->nginx_allow_variables, name) !=
      m_in.host->nginx_allow_variables.end();
}

} // namespace chillbox::nginx
