// Inside agent/crypto: how a file key gets into a stanza and the stanzas into a header (C2SP
// age.md, "Native recipient types").
#pragma once

#include "crypto/age.hpp"

#include <cstdint>
#include <optional>

namespace chillbox::crypto {

inline constexpr size_t k_file_key = 16;
inline constexpr size_t k_wrapped_key = k_file_key + k_age_tag;
inline constexpr size_t k_curve_point = 32;
inline constexpr size_t k_scrypt_salt = 16;

// ChaCha20-Poly1305 with the fixed zero nonce: each wrap key encrypts one file key only.
Bytes encrypt_file_key(const SecretBytes& file_key, const SecretBytes& wrap_key);
std::optional<SecretBytes> decrypt_file_key(ByteView body, const SecretBytes& wrap_key);

// invalid: the recipient is a low-order point.
Result<AgeStanza> x25519_stanza(
    const std::array<uint8_t, k_curve_point>& recipient, const SecretBytes& file_key);
// invalid: no passphrase, work factor out of 1..22. no_space: not enough memory.
Result<AgeStanza> scrypt_stanza(
    const SecretBytes& passphrase, int log2_work_factor, const SecretBytes& file_key);

// invalid when a scrypt stanza is not alone. Costs nothing, so it comes before any key work.
Result<void> check_scrypt_alone(const AgeHeader& header);
// The file key when it is the one that the header was made with, else corrupt.
Result<SecretBytes> with_mac_checked(const AgeHeader& header, SecretBytes file_key);

std::string write_age_header(const std::vector<AgeStanza>& stanzas, const SecretBytes& file_key);

} // namespace chillbox::crypto
