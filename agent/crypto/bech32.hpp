// Bech32 (BIP 173) without its length limit, as age writes recipients and identities. Works on
// secrets: no table is indexed by secret bits across cache lines, nothing stays in memory. Refused:
// mixed case, another human-readable part, a wrong checksum, padding bits that are not zero, more
// than 1,024 characters.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"

#include <string_view>

namespace chillbox::crypto {

// hrp in lower case; the text comes out in lower case.
SecretBytes bech32_encode(std::string_view hrp, ByteView bytes);
// The bytes after "HRP1". The text may be all lower or all upper case. The message never shows the
// text.
Result<SecretBytes> bech32_decode(std::string_view hrp, std::string_view text);

} // namespace chillbox::crypto
