// Webhook signatures: Standard Webhooks v1 (standardwebhooks.com, spec/standard-webhooks.md) and
// GitHub's X-Hub-Signature-256. Signed are the exact bytes that came: id "." timestamp "." body. A
// signature is compared only when it decodes to exactly 32 bytes, in constant time, against every
// key; the time taken does not reveal which key or which byte was wrong.
#pragma once

#include "base/encoding.hpp"
#include "base/error.hpp"
#include "base/secret.hpp"
#include "crypto/hash.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::crypto {

// Raw bytes of the three headers and the body. Nothing is trimmed or decoded before the check.
struct Delivery {
  std::string_view id;
  std::string_view timestamp;
  std::string_view signature; // "v1,BASE64 v1,BASE64 ..."
  std::string_view body;
};

inline constexpr std::chrono::seconds k_webhook_tolerance{300};
inline constexpr size_t k_max_webhook_signatures = 8;
inline constexpr size_t k_max_webhook_id = 128;

// "whsec_" + base64 of 24..64 bytes. Errors (invalid) say which rule; the text itself is never
// shown.
Result<SecretBytes> parse_webhook_key(std::string_view text);
std::string new_webhook_key(); // 32 random bytes as whsec_...

// Shape of the headers, before any key is used: id 1..128 printable bytes without '.', timestamp
// ^[1-9][0-9]{0,11}$, at most 8 signatures. Missing header: denied (401); malformed: usage (400).
// Returns the timestamp in seconds.
Result<int64_t> check_delivery_shape(const Delivery& delivery);

// denied when no v1 signature is valid under any key, or |now - timestamp| > 300 s. Unknown
// versions and malformed items are skipped.
Result<void> verify_webhook(
    std::span<const SecretBytes> keys, const Delivery& delivery, int64_t now_unix);
// "v1,BASE64" for one key.
std::string sign_webhook(
    const SecretBytes& key, std::string_view id, std::string_view timestamp, std::string_view body);

// header: "sha256=" + 64 lower-case hex digits. Anything else, sha1 and upper case too: denied.
Result<void> verify_github(
    std::span<const SecretBytes> keys, std::string_view header, std::string_view body);

} // namespace chillbox::crypto
