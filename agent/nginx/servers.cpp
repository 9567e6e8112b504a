#include "nginx/servers.hpp"

#include "base/text.hpp"
#include "nginx/html_page.hpp"
#include "nginx/names.hpp"
#include "nginx/site_tls.hpp"

#include <algorithm>
#include <array>

namespace chillbox::nginx {
namespace {

constexpr std::array<std::string_view, 12> k_ours{"ssl_certificate", "ssl_certificate_key",
    "ssl_protocols", "ssl_ciphers", "ssl_prefer_server_ciphers", "ssl_session_timeout",
    "ssl_session_cache", "ssl_session_tickets", "ssl_ecdh_curve", "ssl_stapling",
    "ssl_stapling_verify", "http2"};

bool is(const Node& node, std::string_view directive) {
  return node.words[0] == directive;
}

std::vector<uint16_t> ports_of(const Node& listen) {
  return listen_ports(write({listen}));
}

// "*.example.org" and ".example.org" meet "www.example.org".
bool meet(std::string_view a, std::string_view b) {
  const auto plain = [](std::string_view name) {
    return name.substr(name.starts_with("*.") ? 2 : name.starts_with('.') ? 1 : 0);
  };
  const auto below = [&](std::string_view name, std::string_view wide) {
    return wide != plain(wide) && name.ends_with(cat(".", plain(wide)));
  };
  return plain(a) == plain(b) || below(a, b) || below(b, a);
}

} // namespace

std::string ssl_cert_include(const SiteName& site) {
  return site.str() + ".ssl_cert.include";
}

bool includes_certificate(const Node& node, const SiteName& site) {
  const std::string ours = ssl_cert_include(site);
  return is(node, "include") && node.words.size() == 2 &&
      (node.words[1] == ours || node.words[1].ends_with("/" + ours));
}

void Servers::collect(const std::vector<Node>& nodes) {
  std::ranges::copy_if(nodes, std::back_inserter(m_servers),
      [](const Node& n) { return is(n, "server") && n.block; });
}

bool Servers::takes(const Node& server) const {
  return std::ranges::any_of(
      server.inside, [&](const Node& n) { return includes_certificate(n, m_in.site->slug); });
}

bool Servers::listens(const Node& server) const {
  return takes(server) ||
      std::ranges::any_of(server.inside, [](const Node& n) { return is(n, "listen"); });
}

bool Servers::is_http(const Node& server) const {
  if (takes(server))
    return false;
  return !listens(server) || std::ranges::any_of(server.inside, [&](const Node& n) {
    return is(n, "listen") && n.words.size() > 1 &&
        std::ranges::find(n.words, "ssl") == n.words.end() &&
        ports_of(n) == std::vector{m_in.host->http_port};
  });
}

std::vector<std::string> Servers::names_of(const Node& server) const {
  std::vector<std::string> names;
  for (const auto& node : server.inside)
    if (is(node, "server_name"))
      std::transform(node.words.begin() + 1, node.words.end(), std::back_inserter(names), lower);
  return names.empty() ? m_in.site->domains : names;
}

bool Servers::share_a_name(const Node& a, const Node& b) const {
  const auto others = names_of(b);
  return std::ranges::any_of(names_of(a), [&](const std::string& name) {
    return std::ranges::any_of(others, [&](const std::string& other) { return meet(name, other); });
  });
}

Servers::Place Servers::place_of(const Node& server) const {
  const auto shares = [&](const Node& other) { return share_a_name(server, other); };
  if (takes(server))
    return std::ranges::any_of(
               m_servers, [&](const Node& other) { return is_http(other) && shares(other); })
        ? Place::has_http_server
        : Place::takes;
  const bool other_takes = std::ranges::any_of(
      m_servers, [&](const Node& other) { return takes(other) && shares(other); });
  return listens(server) || other_takes ? Place::own : Place::takes;
}

std::string Servers::listens_by_default(const Node& server) const {
  std::string out = listen(*m_in.host, m_in.host->http_port, m_in.ipv6);
  if (place_of(server) == Place::takes)
    out += cat(tls_include("", m_in.paths, m_in.site->slug.str()), tls_redirect("", *m_in.host));
  return out;
}

bool Servers::answers_challenge(const Node& server) const {
  constexpr std::string_view k_challenge = "/.well-known/acme-challenge";
  return !(is_http(server) || takes(server)) ||
      std::ranges::any_of(server.inside, [&](const Node& n) {
        return is(n, "location") && std::ranges::any_of(n.words, [&](const std::string& word) {
          return word.find(k_challenge) != std::string::npos;
        });
      });
}

void Servers::with_proxy_protocol(std::vector<Node>& inside) const {
  const auto& host = *m_in.host;
  if (!host.tls.proxy_protocol)
    return;
  std::vector<Node> local;
  for (auto& node : inside) {
    if (!is(node, "listen") || node.words.size() < 2 ||
        std::ranges::find(node.words, "proxy_protocol") != node.words.end())
      continue;
    const auto ports = ports_of(node);
    if (ports.empty() || (ports[0] != host.http_port && ports[0] != host.https_port) ||
        node.words[1].starts_with("127."))
      continue;
    Node copy = node;
    copy.words[1] = cat("127.0.0.1:", ports[0]);
    std::erase(copy.words, "ipv6only=on");
    if (std::ranges::none_of(inside, [&](const Node& n) { return n.words == copy.words; }) &&
        std::ranges::none_of(local, [&](const Node& n) { return n.words == copy.words; }))
      local.push_back(std::move(copy));
    node.words.emplace_back("proxy_protocol");
  }
  std::ranges::move(local, std::back_inserter(inside));
}

bool is_ours_to_say(const Node& node) {
  return std::ranges::find(k_ours, node.words[0]) != k_ours.end();
}

} // namespace chillbox::nginx
