// Hex and base64, strict: what does not encode back to the same text is refused.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox {

using Bytes = std::vector<uint8_t>;

std::string hex(ByteView bytes);            // lower case
Result<Bytes> unhex(std::string_view text); // lower case only
std::string base64(ByteView bytes);         // RFC 4648 section 4, padded
std::string base64_unpadded(ByteView bytes);
Result<Bytes> unbase64(std::string_view text); // padded, canonical
Result<Bytes> unbase64_unpadded(std::string_view text);
Result<SecretBytes> unbase64_secret(
    std::string_view text);             // padded or not, canonical, into guarded memory
std::string random_token(size_t bytes); // hex of so many random bytes

} // namespace chillbox
