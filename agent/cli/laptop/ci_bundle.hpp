// What `ci add` prints for the secret store of a CI, one line: "cbci1_" and base64 of JSON. It has
// all that a deploy of one site to one host needs without asking anybody: what that host is, its
// address, and two keys that are for this site alone, one to sign releases and one to announce
// them. A bundle without the two can pack, and a person signs (`approve`): nothing in it is secret.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "control/messages.hpp"

#include <string>
#include <string_view>

namespace chillbox::cli {

struct CiBundle {
  std::string host, site, url;
  control::Facts facts; // of the host, without its deployers and sites
  SecretBytes key;      // a minisign secret key, not encrypted; empty: a person signs
  SecretBytes hook;     // whsec_...; empty with the key
};

std::string ci_bundle_text(const CiBundle& bundle);
// invalid: it is none, or is cut off. No message has any of it.
Result<CiBundle> parse_ci_bundle(std::string_view text);

// "hello-ci": as which a host knows the CI of a site.
std::string ci_name(const std::string& site);

} // namespace chillbox::cli
