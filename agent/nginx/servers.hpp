// The servers of a template beside each other: which of them takes the site's certificate, and
// whether another one answers the same names by http. For this room only.
#pragma once

#include "nginx/nginx.hpp"
#include "nginx/syntax.hpp"

#include <string>
#include <vector>

namespace chillbox::nginx {

std::string ssl_cert_include(const SiteName& site); // "SITE.ssl_cert.include"
bool includes_certificate(const Node& node, const SiteName& site);

class Servers {
public:
  enum class Place {
    own,             // says itself where it listens, and with what
    takes,           // by http and, with a certificate, by https
    has_http_server, // another one answers by http: this one does only without a certificate
  };
  explicit Servers(const SiteInput& input) : m_in(input) {}
  void collect(const std::vector<Node>& nodes);
  Place place_of(const Node& server) const;
  // Does it say where: by `listen`, or by the include?
  bool listens(const Node& server) const;
  std::string listens_by_default(const Node& server) const;
  // Has it a location for http-01 of its own, or nobody asks it by http?
  bool answers_challenge(const Node& server) const;
  // On the host's ports, if it is spoken there.
  void with_proxy_protocol(std::vector<Node>& inside) const;

private:
  bool takes(const Node& server) const;
  bool is_http(const Node& server) const;
  bool share_a_name(const Node& a, const Node& b) const;
  std::vector<std::string> names_of(const Node& server) const;

  const SiteInput& m_in;
  std::vector<Node> m_servers;
};

// In a server with the site's certificate: what certs/SITE.conf says, most of which NGINX refuses
// twice.
bool is_ours_to_say(const Node& node);

} // namespace chillbox::nginx
