#include "crypto/webhook.hpp"
#include "sample.hpp"

using namespace chillbox;
using namespace chillbox::crypto;

namespace {

// The vector of the Standard Webhooks libraries.
constexpr std::string_view k_webhook_key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr std::string_view k_good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
constexpr int64_t k_then = 1614265330;

Delivery sample() {
  return {"msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", k_good, R"({"test": 2432232314})"};
}

std::vector<SecretBytes> keys(std::initializer_list<std::string_view> texts) {
  std::vector<SecretBytes> out;
  for (const std::string_view text : texts)
    out.push_back(parse_webhook_key(text).value());
  return out;
}

Result<void> verify_signature(std::string_view signature) {
  Delivery delivery = sample();
  delivery.signature = signature;
  return verify_webhook(keys({k_webhook_key}), delivery, k_then);
}

} // namespace

TEST_CASE("HMAC-SHA256 gives RFC 4231's values, with the message in any number of parts") {
  const Bytes key(20, 0x0b);
  const std::string_view want = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
  CHECK(hex(hmac_sha256(key, {"Hi There"})) == want);
  CHECK(hex(hmac_sha256(key, {"", "Hi", " ", "", "There"})) == want);
  CHECK(hex(hmac_sha256(bytes_of("Jefe"), {"what do ya want for nothing?"})) ==
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  const Bytes long_key(131, 0xaa);
  CHECK(hex(hmac_sha256(long_key, {"Test Using Larger Than Block-Size Key - Hash Key First"})) ==
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  CHECK(hex(hmac_sha256({}, {})) ==
      "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST_CASE("the known-good delivery of Standard Webhooks verifies, and signing it gives the same signature") {
  CHECK(outcome(verify_webhook(keys({k_webhook_key}), sample(), k_then)) == "ok");
  const Delivery d = sample();
  CHECK(sign_webhook(keys({k_webhook_key})[0], d.id, d.timestamp, d.body) == k_good);
}

TEST_CASE("[fault-1] a missing header is denied before any key is used") {
  for (auto part : {&Delivery::id, &Delivery::timestamp, &Delivery::signature}) {
    Delivery delivery = sample();
    delivery.*part = "";
    CHECK(failed_with(Code::denied, check_delivery_shape(delivery)));
    CHECK(failed_with(Code::denied, verify_webhook(keys({k_webhook_key}), delivery, k_then)));
  }
}

// [fault-2] at this level: HTTP libraries join duplicates with ", " or hand out the first; a joined
// one is no header of ours.
TEST_CASE("[fault-2] duplicate headers joined into one value are refused") {
  Delivery delivery = sample();
  delivery.timestamp = "1614265330, 1614265330";
  CHECK(failed_with(Code::usage, verify_webhook(keys({k_webhook_key}), delivery, k_then)));
  delivery = sample();
  delivery.id = "msg_a, msg_b";
  CHECK(failed_with(Code::usage, verify_webhook(keys({k_webhook_key}), delivery, k_then)));
}

TEST_CASE("[fault-3] an id with a dot, a control character or more than 128 bytes is refused") {
  for (const std::string& id :
      {std::string("a.b"), std::string("a\nb"), std::string("a\x7f"), std::string("a b"),
          std::string("a\0b", 3), std::string("gr\xc3\xbc"), std::string(129, 'a')}) {
    Delivery delivery = sample();
    delivery.id = id;
    CHECK(failed_with(Code::usage, check_delivery_shape(delivery)));
  }
  Delivery delivery = sample();
  const std::string longest(128, 'a');
  delivery.id = longest;
  CHECK(check_delivery_shape(delivery).value() == k_then);
}

TEST_CASE("[fault-4] a timestamp is plain decimal seconds") {
  for (const char* text : {"1e9", " 1", "1 ", "+1", "01", "-1", "0", "9223372036854775808",
           "1614265330.5", "1234567890123", "0x10", "1\n"}) {
    Delivery delivery = sample();
    delivery.timestamp = text;
    CHECK(failed_with(Code::usage, check_delivery_shape(delivery)));
  }
  Delivery delivery = sample();
  delivery.timestamp = "999999999999";
  CHECK(check_delivery_shape(delivery).value() == 999999999999);
}

TEST_CASE("[fault-5] 300 seconds off are accepted in both directions, 301 are denied, and the clock is named") {
  for (const int64_t off : {-300, 0, 300})
    CHECK(outcome(verify_webhook(keys({k_webhook_key}), sample(), k_then + off)) == "ok");
  const auto late = verify_webhook(keys({k_webhook_key}), sample(), k_then + 301);
  const auto early = verify_webhook(keys({k_webhook_key}), sample(), k_then - 301);
  CHECK(failed_with(Code::denied, late));
  CHECK(contains(late.error().message, "301 s in the past"));
  CHECK(failed_with(Code::denied, early));
  CHECK(contains(early.error().message, "301 s in the future"));
}

TEST_CASE("[fault-5] a forged delivery learns nothing about the clock") {
  Delivery delivery = sample();
  delivery.body = "forged";
  CHECK_FALSE(
      contains(outcome(verify_webhook(keys({k_webhook_key}), delivery, k_then + 9999)), "clock"));
}

TEST_CASE("[fault-6] a signature counts only when it is exactly 32 bytes of canonical base64") {
  const std::string good(k_good);
  for (const std::string& bad : {std::string("v1,"), good.substr(0, 20),
           good.substr(0, good.size() - 1), std::string("v1,AAAA"), "v1," + base64(Bytes(33, 0)),
           "v1," + base64(Bytes(31, 0)), good + "=", good + "\n",
           // the last digit with other bits that no byte uses
           good.substr(0, good.size() - 2) + "F=", std::string("v1"), std::string(","),
           std::string(" ")})
    CHECK(failed_with(Code::denied, verify_signature(bad)));
}

TEST_CASE("[fault-6] a signature that ends in zero bytes does not verify without them") {
  const SecretBytes key = keys({k_webhook_key}).front().copy();
  std::array<uint8_t, 32> mac{};
  std::string body;
  for (int i = 0; mac.back() != 0 || i == 0; ++i) {
    body = std::to_string(i);
    mac = hmac_sha256(key.view(), {"a.1614265330.", body});
  }
  const std::string whole = cat("v1,", base64(mac));
  const std::string cut = cat("v1,", base64(ByteView(mac).first(31)));
  CHECK(outcome(verify_webhook(keys({k_webhook_key}), {"a", "1614265330", whole, body}, k_then)) ==
      "ok");
  CHECK(failed_with(
      Code::denied, verify_webhook(keys({k_webhook_key}), {"a", "1614265330", cut, body}, k_then)));
}

TEST_CASE("[fault-7] unknown versions and malformed items are skipped, and a valid one among them wins") {
  CHECK(failed_with(
      Code::denied, verify_signature("v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1a,AAAA")));
  CHECK(failed_with(
      Code::denied, verify_signature("V1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")));
  CHECK(outcome(verify_signature(cat("v2,AAAA v1, garbage  ", k_good))) == "ok");
  CHECK(outcome(verify_signature(cat("v1,", base64(Bytes(32, 0)), " ", k_good))) == "ok");
}

TEST_CASE("[fault-8] more than 8 signatures are refused, 8 are read to the last") {
  std::string seven;
  for (int i = 0; i < 7; ++i)
    seven += "v1,AAAA ";
  CHECK(outcome(verify_signature(cat(seven, k_good))) == "ok");
  CHECK(failed_with(Code::usage, verify_signature(cat(seven, "v1,AAAA ", k_good))));
  std::string many;
  for (int i = 0; i < 10000; ++i)
    many += "v1,AAAA ";
  CHECK(failed_with(Code::usage, verify_signature(many)));
}

TEST_CASE("rotation: a delivery signed with either key verifies, with another one it does not") {
  const std::string other = new_webhook_key();
  CHECK(outcome(verify_webhook(keys({k_webhook_key, other}), sample(), k_then)) == "ok");
  CHECK(outcome(verify_webhook(keys({other, k_webhook_key}), sample(), k_then)) == "ok");
  CHECK(failed_with(Code::denied, verify_webhook(keys({other}), sample(), k_then)));
  CHECK(failed_with(Code::denied, verify_webhook({}, sample(), k_then)));
}

TEST_CASE("[fault-9] a key is whsec_ and canonical base64 of 24 to 64 bytes, and its text is never shown") {
  CHECK(parse_webhook_key(cat("whsec_", base64(Bytes(24, 7)))).value().size() == 24);
  CHECK(parse_webhook_key(cat("whsec_", base64(Bytes(64, 7)))).value().size() == 64);
  for (const std::string& bad : {std::string(), std::string("whsec_"),
           "whsec_" + base64(Bytes(23, 7)), "whsec_" + base64(Bytes(65, 7)), base64(Bytes(32, 7)),
           "whsec_" + base64(Bytes(32, 7)) + "\n", std::string("whsec_not base64 at all, but long"),
           std::string("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")}) {
    const auto key = parse_webhook_key(bad);
    CHECK(failed_with(Code::invalid, key));
    if (bad.size() > 10)
      CHECK_FALSE(contains(outcome(key), bad.substr(8)));
  }
}

TEST_CASE("[fault-9] an empty key verifies nothing, though anybody can sign with it") {
  std::vector<SecretBytes> none;
  none.emplace_back();
  const std::string forged =
      cat("v1,", base64(hmac_sha256({}, {"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{}"})));
  Delivery delivery = sample();
  delivery.signature = forged;
  delivery.body = "{}";
  CHECK(failed_with(Code::denied, verify_webhook(none, delivery, k_then)));
  CHECK(failed_with(
      Code::denied, verify_github(none, cat("sha256=", hex(hmac_sha256({}, {"{}"}))), "{}")));
}

TEST_CASE("a new key is one that is accepted, and another one each time") {
  const std::string key = new_webhook_key();
  CHECK(parse_webhook_key(key).value().size() == 32);
  CHECK(key != new_webhook_key());
}

TEST_CASE("[fault-10] any change of the body, id or timestamp is denied") {
  Delivery delivery = sample();
  std::string body(delivery.body);
  for (size_t bit = 0; bit < body.size() * 8; ++bit) {
    std::string changed = body;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    delivery.body = changed;
    REQUIRE(failed_with(Code::denied, verify_webhook(keys({k_webhook_key}), delivery, k_then)));
  }
  for (const char* same_json : {R"({"test":2432232314})", R"({"test": 2432232314} )", ""}) {
    delivery.body = same_json;
    CHECK(failed_with(Code::denied, verify_webhook(keys({k_webhook_key}), delivery, k_then)));
  }
  delivery = sample();
  delivery.id = "msg_p5jXN8AQM9LWM0D4loKWxJel";
  CHECK(failed_with(Code::denied, verify_webhook(keys({k_webhook_key}), delivery, k_then)));
  delivery = sample();
  delivery.timestamp = "1614265331";
  CHECK(failed_with(Code::denied, verify_webhook(keys({k_webhook_key}), delivery, k_then)));
}

TEST_CASE("GitHub's known-good header verifies") {
  std::vector<SecretBytes> one;
  one.push_back(secret("It's a Secret to Everybody"));
  const std::string_view header =
      "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  CHECK(outcome(verify_github(one, header, "Hello, World!")) == "ok");
  CHECK(failed_with(Code::denied, verify_github(one, header, "Hello, World?")));
  one.insert(one.begin(), secret("another secret, the newer one"));
  CHECK(outcome(verify_github(one, header, "Hello, World!")) == "ok");
}

TEST_CASE("[fault-14] GitHub's header is sha256= and 64 lower-case digits, nothing else") {
  std::vector<SecretBytes> one;
  one.push_back(secret("It's a Secret to Everybody"));
  const std::string good = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  std::string upper = good;
  std::transform(upper.begin(), upper.end(), upper.begin(),
      [](char c) { return c >= 'a' ? static_cast<char>(c - 32) : c; });
  for (const std::string& bad : {std::string(), good, "sha1=" + good.substr(0, 40), "sha1=" + good,
           "sha256=" + upper, "SHA256=" + good, "sha256=" + good.substr(0, 62),
           "sha256=" + good + "00", "sha256=" + good + " ", " sha256=" + good,
           std::string("sha256="), "sha256=" + good + ",sha256=" + good})
    CHECK(failed_with(Code::denied, verify_github(one, bad, "Hello, World!")));
}
