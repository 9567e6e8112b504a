// A trusted key is /etc/chillbox/trusted/NAME.pub: minisign's own two lines, or one line of an
// Ed25519 key of ssh. What may follow (minisign reads no further, so that `minisign -V -p NAME.pub`
// still works) is ours: empty lines, '#' comments, and what limits the key: one line
// "sites: blog,shop", and one line "only: releases" of a key that signs no secret set.
#pragma once

#include "base/error.hpp"
#include "crypto/signing_key.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace chillbox::artifact {

struct TrustedKey {
  std::string name;
  crypto::SigningKey key;
  std::vector<std::string> sites; // empty: all
  bool only_releases = false;     // no secret set
};
// invalid: not a key, or a line that is none of the above. A mistyped limit must not turn into no
// limit.
Result<TrustedKey> parse_trusted_key(std::string_view text, std::string_view name);
std::string trusted_key_text(const TrustedKey& key); // parse_trusted_key reads it back
// Every *.pub of the directory, by name; names that begin with a dot are passed over. One that
// cannot be used fails the whole set and is named: a deployer who is locked out should not have to
// guess. denied: writable by others than root. No directory: no keys.
Result<std::vector<TrustedKey>> load_trusted_keys(const std::string& dir);
// The same, to find out whether a key is still trusted: a file that cannot be used is not, and has
// no effect on the others.
struct TrustedKeys {
  std::vector<TrustedKey> keys;
  std::vector<Error> faults; // each names its file
};
TrustedKeys read_trusted_keys(const std::string& dir);
// sha256 of the key's line, hex: unlike minisign's id, nobody can make a key that has another's.
std::string fingerprint(const crypto::SigningKey& key);

} // namespace chillbox::artifact
