// HKDF-SHA-256 (RFC 5869) with 32 bytes of output, which is all that age needs.
#pragma once

#include "base/secret.hpp"

#include <string_view>

namespace chillbox::crypto {

SecretBytes hkdf_sha256(ByteView key, ByteView salt, std::string_view info);

} // namespace chillbox::crypto
