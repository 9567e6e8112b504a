#include "catch.hpp"

#include "cli/fleet/deploy_client.hpp"
#include "crypto/webhook.hpp"

#include "base/text.hpp"

using namespace chillbox;
using namespace chillbox::cli;

namespace {

constexpr std::string_view k_key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const std::string k_digest(64, 'a');

ArtifactFile file(bool secrets) {
  return {"x.age", "",
      {.site = *SiteName::parse("blog"),
          .secrets = secrets,
          .version = secrets ? "" : "1.0.0",
          .serial = 7,
          .sha256 = *Digest::parse(k_digest),
          .expires = std::nullopt},
      1234};
}

std::string header(const std::vector<std::string>& headers, std::string_view name) {
  for (const std::string& line : headers)
    if (line.starts_with(cat(name, ": ")))
      return line.substr(name.size() + 2);
  return "";
}

} // namespace

TEST_CASE("a delivery is signed over its id, time and body") {
  const auto key = *crypto::parse_webhook_key(k_key);
  const auto delivery = make_delivery(file(false), "msg_1", 1'795'196'014);
  const auto headers = sign_delivery(key, delivery, 1'795'196'015);
  CHECK(delivery.body ==
      cat(R"({"data":{"sha256":")", k_digest,
          R"(","site":"blog","size":1234,"version":"1.0.0"},"timestamp":"2026-11-20T17:33:34Z",)",
          R"("type":"site.deploy"})"));
  CHECK(header(headers, "webhook-id") == "msg_1");
  CHECK(header(headers, "webhook-timestamp") == "1795196015");
  std::vector<SecretBytes> keys;
  keys.push_back(key.copy());
  const std::string signature = header(headers, "webhook-signature");
  CHECK(crypto::verify_webhook(
      keys, {"msg_1", "1795196015", signature, delivery.body}, 1'795'196'014));
  CHECK_FALSE(crypto::verify_webhook(
      keys, {"msg_2", "1795196015", signature, delivery.body}, 1'795'196'014));
}

TEST_CASE("a secret set is announced as one, without a version") {
  const auto delivery = make_delivery(file(true), "msg_1", 0);
  CHECK(delivery.body.find(R"("type":"secrets.update")") != std::string::npos);
  CHECK(delivery.body.find("version") == std::string::npos);
}

TEST_CASE("the key file may be what webhook add printed, or a sender's file") {
  CHECK(parse_key_file(k_key));
  CHECK(parse_key_file(cat(k_key, "\n")));
  const auto newest = parse_key_file(
      cat("# sender ci\nsites: blog\n", k_key, "\nwhsec_b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xk\n"));
  REQUIRE(newest);
  CHECK(same(newest->view(), crypto::parse_webhook_key(k_key)->view()));
  CHECK(parse_key_file("").error().code == Code::invalid);
  CHECK(parse_key_file("# whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").error().code == Code::invalid);
  const auto wrong = parse_key_file("whsec_short");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message.find("short") == std::string::npos); // never shows the key
}
