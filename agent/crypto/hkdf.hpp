// HKDF-SHA-256 (RFC 5869) with 32 bytes of output, all that age needs: one HMAC to extract, one to
// expand. By libsodium, whose 1.0.18 has HMAC but no HKDF. The intermediate key and both states are
// wiped.
#pragma once

#include "base/secret.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace chillbox::crypto {

SecretBytes hkdf_sha256(ByteView key, ByteView salt, std::string_view info);

// HMAC-SHA256 under a derived key, for the header of an age file.
std::array<uint8_t, 32> header_hmac(ByteView key, std::string_view text);

} // namespace chillbox::crypto
