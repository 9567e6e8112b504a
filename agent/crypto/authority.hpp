// A certificate authority for the members and the clients of one engine (`fleet init`): X.509 that
// this program makes and no browser sees. Pure: no files, no clock.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox::crypto {

struct IssuedCertificate {
  SecretString key; // ECDSA on P-256, PKCS #8 in PEM
  std::string pem;
};
struct Validity {
  int64_t from = 0, to = 0; // Unix seconds
};

// Signs itself; `name` is its common name.
IssuedCertificate make_authority(const std::string& name, const Validity& validity);
// A leaf without a subject, for the gateway of etcd refuses a client whose certificate has a common
// name. It is good for a client, and, with a host name or an address, for a server too. `name`:
// "DNS:etcd1.example", "IP:10.0.0.1" or "URI:chillbox:host". invalid: not such a name, or not an
// authority.
Result<IssuedCertificate> issue_certificate(
    const IssuedCertificate& authority, const std::string& name, const Validity& validity);

} // namespace chillbox::crypto
