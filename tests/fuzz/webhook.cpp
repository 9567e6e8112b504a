// A webhook's headers and body: "ID\nTIMESTAMP\nSIGNATURE\nGITHUB\nBODY". '@' in a signature is
// where the right one is put, so that also what is accepted gets found.
#include "crypto/webhook.hpp"
#include "base/text.hpp"
#include "fuzz.hpp"

#include <algorithm>

using namespace chillbox;
using namespace chillbox::crypto;
using fuzz::claim;

namespace {

constexpr int64_t k_now = 1614265330;

const std::vector<SecretBytes>& keys() {
  static const auto* keys = [] {
    init_crypto();
    auto* made = new std::vector<SecretBytes>;
    made->push_back(
        fuzz::must(parse_webhook_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "a key"));
    made->push_back(SecretBytes(bytes_of("another key that is good too....")));
    return made;
  }();
  return *keys;
}

std::string with_right_one(std::string_view text, const std::string& right) {
  std::string out;
  for (const char c : text)
    c == '@' ? void(out += right) : out.push_back(c);
  return out;
}

std::string hex_mac(std::string_view body) {
  return hex(hmac_sha256(keys()[0].view(), {body}));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto& all = keys();
  fuzz::Input in{data, size};
  Delivery delivery;
  delivery.id = in.until('\n');
  delivery.timestamp = in.until('\n');
  const std::string_view signature = in.until('\n');
  const std::string_view github = in.until('\n');
  delivery.body = in.rest();
  const std::string right[] = {sign_webhook(all[0], delivery.id, delivery.timestamp, delivery.body),
      sign_webhook(all[1], delivery.id, delivery.timestamp, delivery.body)};
  const std::string header = with_right_one(signature, right[size % 2]);
  delivery.signature = header;

  const auto shape = check_delivery_shape(delivery);
  const auto verified = verify_webhook(all, delivery, k_now);
  const auto items = split(delivery.signature, ' ');
  const bool signed_by_us =
      std::ranges::any_of(items, [&](auto item) { return item == right[0] || item == right[1]; });
  const bool fresh = shape && *shape >= k_now - 300 && *shape <= k_now + 300;
  claim(verified.has_value() == (shape && signed_by_us && fresh),
      "accepted is exactly what is well formed, signed and fresh");
  if (!verified)
    fuzz::claim_printable(verified.error());

  const std::string github_header = with_right_one(github, hex_mac(delivery.body));
  const bool good = github_header == cat("sha256=", hex_mac(delivery.body)) ||
      github_header == cat("sha256=", hex(hmac_sha256(all[1].view(), {delivery.body})));
  claim(verify_github(all, github_header, delivery.body).has_value() == good,
      "GitHub's header is right or it is not");

  if (const auto key = parse_webhook_key(delivery.body))
    claim(cat("whsec_", base64(key->view())) == delivery.body ||
            cat("whsec_", base64_unpadded(key->view())) == delivery.body,
        "a key has one spelling");
  return 0;
}
