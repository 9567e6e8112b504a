// The NGINX text that a site brings, checked before NGINX sees any of it. An allow-list: directives
// for each block (rules.hpp), what they may name (bounds.hpp), and names that become the site's own
// (names.hpp). What comes out is written again from what was understood, so that NGINX reads
// nothing else. Each server gets what keeps it honest: no links of somebody else's are followed,
// and chillboxd can ask whose it is. For this room only.
#pragma once

#include "nginx/nginx.hpp"
#include "nginx/syntax.hpp"

#include <string>
#include <vector>

namespace chillbox::nginx {

struct Template {
  std::string name; // for messages
  std::vector<Node> nodes;
};

// invalid: the first problem ("NAME: line N: ...") and how many more there are. provided: what
// `include SITE.ssl_cert.include` stands for.
Result<std::vector<Template>> checked(
    std::vector<Template> templates, const SiteInput& input, const std::vector<Node>& provided);

// What every server of a site begins with.
std::string server_preamble(std::string_view indent, const SiteName& site);
// In each server of a site that asks its services: nginx::answers_log.
std::string answers_directive(
    std::string_view indent, const os::Paths& paths, const SiteName& site);

} // namespace chillbox::nginx
