#include "crypto/webhook.hpp"

#include "base/text.hpp"

#include <sodium.h>

#include <algorithm>
#include <memory>

namespace chillbox::crypto {
namespace {

using Mac = std::array<uint8_t, 32>;

constexpr std::string_view k_key_prefix = "whsec_";
constexpr std::string_view k_version_prefix = "v1,";
constexpr std::string_view k_github_prefix = "sha256=";
constexpr size_t k_least_key = 24;
constexpr size_t k_greatest_key = 64;

Mac mac_of(const SecretBytes& key, std::string_view id, std::string_view timestamp,
    std::string_view body) {
  return hmac_sha256(key.view(), {id, ".", timestamp, ".", body});
}

// The signatures of a header that are v1 and exactly 32 bytes. All else is skipped: other versions,
// broken base64.
std::vector<Mac> v1_signatures(std::string_view header) {
  std::vector<Mac> out;
  for (const std::string_view item : split(header, ' ')) {
    if (!item.starts_with(k_version_prefix))
      continue;
    const auto bytes = unbase64(item.substr(k_version_prefix.size()));
    if (!bytes || bytes->size() != Mac{}.size())
      continue;
    std::copy(bytes->begin(), bytes->end(), out.emplace_back().begin());
  }
  return out;
}

// Every signature against every key, always all of them: the time it takes reveals only how
// many there were. An empty key is never right: anybody could sign with it.
template <class MacUnder> bool any_right(
    std::span<const SecretBytes> keys, const std::vector<Mac>& signatures, MacUnder mac_under) {
  unsigned right = 0;
  for (const SecretBytes& key : keys) {
    Mac mac = mac_under(key);
    for (const Mac& signature : signatures)
      right |= static_cast<unsigned>(same(mac, signature)) & static_cast<unsigned>(!key.empty());
    wipe(mac.data(), mac.size()); // what the sender had to know
  }
  return right != 0;
}

bool is_timestamp(std::string_view text) {
  return !text.empty() && text.size() <= 12 && text[0] != '0' &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

} // namespace

Result<SecretBytes> parse_webhook_key(std::string_view text) {
  if (!text.starts_with(k_key_prefix))
    return fail(Code::invalid, "webhook key does not begin with whsec_");
  auto key = unbase64_secret(text.substr(k_key_prefix.size()));
  if (!key)
    return fail(Code::invalid, "webhook key is not base64 after whsec_");
  if (key->size() < k_least_key || key->size() > k_greatest_key)
    return fail(Code::invalid,
        cat("webhook key has ", key->size(), " bytes, wanted ", k_least_key, " to ",
            k_greatest_key));
  return key;
}

std::string new_webhook_key() {
  SecretBytes key(32);
  randombytes_buf(key.data(), key.size());
  return cat(k_key_prefix, base64(key.view()));
}

Result<int64_t> check_delivery_shape(const Delivery& delivery) {
  if (delivery.id.empty())
    return fail(Code::denied, "no webhook-id header");
  if (delivery.timestamp.empty())
    return fail(Code::denied, "no webhook-timestamp header");
  if (delivery.signature.empty())
    return fail(Code::denied, "no webhook-signature header");
  if (delivery.id.size() > k_max_webhook_id)
    return fail(Code::usage, cat("webhook-id is longer than ", k_max_webhook_id, " bytes"));
  if (!std::all_of(delivery.id.begin(), delivery.id.end(),
          [](char c) { return c > ' ' && c <= '~' && c != '.'; }))
    return fail(Code::usage, "webhook-id has a '.', a space or an unprintable character");
  if (!is_timestamp(delivery.timestamp))
    return fail(Code::usage, "webhook-timestamp is not whole seconds since 1970");
  const auto count = std::count(delivery.signature.begin(), delivery.signature.end(), ' ') + 1;
  if (static_cast<size_t>(count) > k_max_webhook_signatures)
    return fail(Code::usage,
        cat("webhook-signature has ", count, " signatures, at most ", k_max_webhook_signatures));
  return static_cast<int64_t>(*parse_u64(delivery.timestamp));
}

Result<void> verify_webhook(
    std::span<const SecretBytes> keys, const Delivery& delivery, int64_t now_unix) {
  const int64_t timestamp = TRY(check_delivery_shape(delivery));
  const bool right =
      any_right(keys, v1_signatures(delivery.signature), [&](const SecretBytes& key) {
        return mac_of(key, delivery.id, delivery.timestamp, delivery.body);
      });
  if (!right)
    return fail(Code::denied, "no valid v1 signature in webhook-signature");
  // After the signature, so that "check the clocks" is said only to one who has a key. Both are
  // small: no overflow.
  const int64_t limit = k_webhook_tolerance.count();
  const int64_t late = now_unix - timestamp;
  if (late > limit || late < -limit)
    return fail(Code::denied,
        cat("webhook-timestamp is ", late < 0 ? -late : late, " s in the ",
            late < 0 ? "future" : "past", ", at most ", limit,
            " s: check the clocks of sender and host"));
  return {};
}

std::string sign_webhook(const SecretBytes& key, std::string_view id, std::string_view timestamp,
    std::string_view body) {
  return cat(k_version_prefix, base64(mac_of(key, id, timestamp, body)));
}

Result<void> verify_github(
    std::span<const SecretBytes> keys, std::string_view header, std::string_view body) {
  if (header.empty())
    return fail(Code::denied, "no X-Hub-Signature-256 header");
  std::vector<Mac> signatures;
  if (header.starts_with(k_github_prefix))
    if (const auto bytes = unhex(header.substr(k_github_prefix.size()));
        bytes && bytes->size() == Mac{}.size())
      std::copy(bytes->begin(), bytes->end(), signatures.emplace_back().begin());
  if (!any_right(keys, signatures,
          [&](const SecretBytes& key) { return hmac_sha256(key.view(), {body}); }))
    return fail(Code::denied, "no valid signature in X-Hub-Signature-256");
  return {};
}

} // namespace chillbox::crypto
