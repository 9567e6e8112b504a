// minisign (jedisct1.github.io/minisign, "Signature format" and "Secret key format"), prehashed
// Ed25519 ("ED") only. Legacy "Ed" is refused. A signature is good when key id, signature over
// BLAKE2b-512 of the file and global signature over signature + trusted comment all hold; the
// trusted comment is readable only after that. CR and unprintable characters in a comment are
// refused.
#pragma once

#include "base/encoding.hpp"
#include "base/error.hpp"
#include "base/secret.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox::crypto {

using KeyId = std::array<uint8_t, 8>;
std::string key_id_text(
    const KeyId& id); // as minisign prints it: upper-case hex, little endian turned around

struct MinisignPublicKey {
  KeyId id;
  std::array<uint8_t, 32> key;
  // A .pub file (comment line and base64 line) or the base64 line alone.
  static Result<MinisignPublicKey> parse(std::string_view text);
  std::string to_line() const; // the base64 line
  std::string to_file() const; // with its untrusted comment
};

// What scrypt may cost, in libsodium's terms. The default is minisign's own (SENSITIVE): 1 GiB and
// some seconds.
struct ScryptLimits {
  uint64_t operations = 33554432;
  uint64_t memory = 1073741824;
};

class MinisignSecretKey {
public:
  static MinisignSecretKey generate();
  // Encrypted keys need the passphrase (denied when it is wrong or missing); keys made with
  // `minisign -W` need none.
  static Result<MinisignSecretKey> parse(std::string_view file_text, const SecretBytes& passphrase);
  static Result<bool> is_encrypted(std::string_view file_text);
  // The .key file. An empty passphrase writes an unencrypted key, as `minisign -W` does. no_space:
  // not the memory for scrypt; lower limits (halves of both, as minisign takes them) work too.
  Result<SecretBytes> to_file(const SecretBytes& passphrase, ScryptLimits limits = {}) const;
  MinisignPublicKey public_key() const;
  // 32 bytes for another use, which `info` names: HKDF of the seed. They say nothing about the key.
  SecretBytes derive(std::string_view info) const;
  // The text of a .minisig file over a file with this BLAKE2b-512 digest. Unprintable characters of
  // the comment come out as \xNN.
  std::string sign(const std::array<uint8_t, 64>& blake2b, std::string_view trusted_comment) const;

private:
  MinisignSecretKey(KeyId id, SecretBytes key) : m_id(id), m_key(std::move(key)) {}
  KeyId m_id;
  SecretBytes m_key; // 64 bytes: seed, public key
};

struct MinisignSignature {
  KeyId id{}; // claimed: to look the key up, proven only by verify()
  // invalid: not the four lines, legacy algorithm, bad base64, control characters in a comment.
  // too_large: over 10 KiB.
  static Result<MinisignSignature> parse(std::string_view text);
  // The trusted comment, or denied: another key, a wrong signature, an edited comment, each with
  // its own message.
  Result<std::string> verify(
      const MinisignPublicKey& key, const std::array<uint8_t, 64>& blake2b) const;

private:
  std::array<uint8_t, 64> m_signature{};
  std::array<uint8_t, 64> m_global_signature{};
  std::string m_trusted_comment;
};

} // namespace chillbox::crypto
