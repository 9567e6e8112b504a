// The NGINX text that a site brings, checked before NGINX sees any of it. An allow-list: directives
// for each block (rules.hpp), what they may name (bounds.hpp), and names that become the site's own
// (names.hpp). What comes out is written again from what was understood, so that NGINX reads
// nothing else. Each server gets what keeps it honest: no links of somebody else's are followed,
// and chillboxd can ask whose it is. For this room only.
#pragma once

#include "nginx/nginx.hpp"
#include "nginx/syntax.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace chillbox::nginx {

struct Template {
  std::string name; // for messages
  std::vector<Node> nodes;
};

// What `include SITE.ssl_cert.include` stands for: in templates without a server of their own for
// http, and in those with one.
struct Provided {
  std::vector<Node> listens_itself, has_http_server;
};
// invalid: the first problem ("NAME: line N: ...") and how many more there are.
Result<std::vector<Template>> checked(
    std::vector<Template> templates, const SiteInput& input, const Provided& provided);

// What every server of a site begins with, k_preamble directives.
inline constexpr std::ptrdiff_t k_preamble = 12;
std::string server_preamble(std::string_view indent, const SiteInput& in);

} // namespace chillbox::nginx
