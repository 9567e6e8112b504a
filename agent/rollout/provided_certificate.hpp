// A site that brings its own certificate has it in its secret set, as tls/SITE.pem: a private key,
// then the certificate and its chain.
#pragma once

#include "rollout/host_context.hpp"

#include "config/site.hpp"

#include <string>
#include <vector>

namespace chillbox::rollout {

// What is wrong with it, for a site with "mode": "provided": it is missing, no key and chain that
// belong together, or without one of the site's names. An expired one is served: room tls reports
// it.
std::vector<std::string> certificate_problems(HostContext& host, const config::Site& site);

} // namespace chillbox::rollout
