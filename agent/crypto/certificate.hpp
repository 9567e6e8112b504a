// X.509 as far as a web host needs it: a new key, a request for a certificate (PKCS #10), and the
// check of what a certificate authority sent, before anything of it is used. Pure: no files, no
// clock, no network. What comes out of a check is written again from what was understood, so that
// NGINX reads nothing else.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::crypto {

inline constexpr size_t k_max_chain = 128 * 1024; // bytes of PEM
inline constexpr size_t k_max_chain_certificates = 8;

// An ECDSA key on P-256, PKCS #8 in PEM.
SecretString make_certificate_key();
// A request that names all `names` (host names, "*.NAME") and nothing else: no common name.
// invalid: the key is none; no names.
Result<std::string> make_certificate_request(
    std::string_view key, const std::vector<std::string>& names);

struct CertificateFacts {
  std::vector<std::string> names; // DNS names, sorted
  int64_t not_before_ms = 0, not_after_ms = 0;
  std::string issuer; // its common name, else its organization
  std::string sha256; // of the DER, hex
};

struct CheckedChain {
  std::string pem;  // written again, leaf first, without what stood between
  std::string leaf; // its PEM alone
  CertificateFacts leaf_facts;
};

// throttled: it is good later, or this clock is slow. invalid, with the reason, unless: the text is
// at most k_max_chain long and has at most eight certificates, the first one is `key`'s, is no
// authority, may be a TLS server's, has every one of `names` and a time that includes now (it may
// begin ten minutes later), and each is signed by the next.
Result<CheckedChain> check_chain(std::string_view pem, std::string_view key,
    const std::vector<std::string>& names, int64_t now_ms);
// The same of a file, key and chain in one text; whatever its names and its time, so that an
// expired one is still served, and a self-signed one of the administrator's.
Result<CheckedChain> check_certificate_file(std::string_view pem);
// Whether a chain, leaf first, leads to one of the `roots` (PEM), as it was at that time.
bool leads_to(std::string_view chain, std::string_view roots, int64_t at_ms);
// The first certificate of a text, as PEM; "": there is none.
std::string first_certificate(std::string_view pem);
// The key of such a file alone; invalid: it has none.
Result<SecretString> key_in(std::string_view pem);
// Whether a certificate for `pattern` ("a.example", "*.example") is good for `name`.
bool covers(std::string_view pattern, std::string_view name);

} // namespace chillbox::crypto
