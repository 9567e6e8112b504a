// The TLS certificates of a host as values: of each site, and of the host's own name.
// certificate_table.hpp has the tables of their members. Times are milliseconds since 1970, UTC; 0:
// not yet, or never.
#pragma once

#include "base/error.hpp"
#include "control/names.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::control {

// In the place of a site's name: the host's own name. No site can be called so.
inline constexpr std::string_view k_host_certificate = "_host";

// What the host saw when it asked itself, by one address, for a token that it had laid out.
struct CertificateProbe {
  std::string name;    // a host name
  std::string address; // "loopback", or an address that DNS gives for it; "" : DNS itself
  bool good = false;
  std::string text; // what it answered, or why nothing came
  int64_t time_ms = 0;
};

// A name of the site that answers on http only.
struct PlainName {
  std::string name, why;
};

struct Certificate {
  std::string id;   // its file's name without .pem: SITE, SITE.wildcard, k_host_certificate
  std::string site; // or k_host_certificate
  CertificateState state = CertificateState::off;
  AlertLevel alert = AlertLevel::none;
  std::string mode;                                // "auto", "off", "provided", "edge"
  std::string key, challenge, profile, engine, ca; // as it was, or will be, ordered; ca: a URL
  std::vector<std::string> names;                  // that the served certificate covers
  std::vector<PlainName> plain;                    // names of the site that it does not
  int64_t not_before_ms = 0, not_after_ms = 0;     // 0: none is served
  std::string issuer, sha256;                      // of the leaf
  bool by_fleet = false;     // one host of the fleet orders it for all that have the site
  std::string issued_by;     // which one did, "": this one
  int64_t next_ms = 0;       // when something is tried next: an order or a renewal
  int64_t failing_ms = 0;    // since when nothing has worked, 0: it works
  uint64_t failures = 0;     // in a row
  std::string problem, link; // what went wrong the last time, and where the CA explains it
  std::string explanation;   // a URL, where the CA says why it wants a renewal at that time
  std::vector<CertificateProbe> probes; // of the last round
};
struct CertificateList {
  std::vector<Certificate> certificates;
};
struct CertificateAnswer {
  Certificate certificate;
};
struct CertificateCheck {
  std::string site;
  bool ready = false;
  std::vector<CertificateProbe> probes;
};
// The end of an order that was asked for when the certificate was `before`; none: it has none yet.
// preflight: a CA would not reach the host; else failure, with its problem.
std::optional<Result<Certificate>> end_of_order(const Certificate& before, const Certificate& now);

// Of a trial order at the CA's staging service: nothing of it is installed.
struct CertificateRenewal {
  Certificate certificate;
  bool staging = false;
  std::optional<std::string> text; // of a trial: what the CA issued
};
struct AcmeAccount {
  std::string ca, engine;
  std::string url, status; // "" : there is none yet
  std::string thumbprint;  // of its key, for challenges that another server answers
  std::vector<std::string> contact;
};

} // namespace chillbox::control
