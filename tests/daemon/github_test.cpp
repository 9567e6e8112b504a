// GitHub's webhooks: no timestamp, and the delivery id is not signed.
#include "daemon/intake_host.hpp"

using namespace chillbox;
using namespace chillbox::test;

namespace {

constexpr std::string_view k_secret = "It's a Secret to Everybody";

struct GithubHost : IntakeHost {
  GithubHost() {
    write(paths.webhooks() + "/hub.key", cat("format: github\n", k_secret, "\n"));
    intake->set_senders(must(daemon::load_senders(paths.webhooks())));
  }
  static std::string sign(std::string_view body) {
    return "sha256=" + hex(crypto::hmac_sha256(bytes_of(k_secret), {body}));
  }
  Reply deliver(
      const std::string& body, const std::string& delivery, const std::string& signature) {
    return hook(
        {.body = body, .id = "", .github = signature, .github_delivery = delivery, .sign = false});
  }
};

} // namespace

TEST_CASE("a delivery of GitHub's is accepted by its signature") {
  GithubHost host;
  const auto reply = host.deliver(host.any_deploy(), "d1", host.sign(host.any_deploy()));
  REQUIRE(reply.status == 202);
  CHECK(host.look(reply.body["job"]).actor == "webhook:hub");
}

TEST_CASE("[fault-13] a replay with a new delivery id is the same delivery, known by its body") {
  GithubHost host;
  const auto first = host.deliver(host.any_deploy(), "d1", host.sign(host.any_deploy()));
  for (const char* id : {"d1", "d2", ""}) {
    const auto again = host.deliver(host.any_deploy(), id, host.sign(host.any_deploy()));
    CHECK(again.status == 200);
    CHECK(again.text == first.text);
  }
  host.restart_all();
  CHECK(host.deliver(host.any_deploy(), "d3", host.sign(host.any_deploy())).status == 200);
  CHECK(host.jobs() == 1);
}

TEST_CASE("[fault-14] sha1 and upper case are 401") {
  GithubHost host;
  std::string upper = host.sign(host.any_deploy());
  std::ranges::transform(upper.begin() + 7, upper.end(), upper.begin() + 7,
      [](char c) { return static_cast<char>(c >= 'a' && c <= 'f' ? c - 32 : c); });
  REQUIRE(upper != host.sign(host.any_deploy()));
  for (const std::string& signature : {upper, "sha1=" + std::string(40, 'a'),
           std::string("sha256="), std::string("sha256=") + std::string(64, '0')})
    CHECK(host.deliver(host.any_deploy(), "d1", signature).status == 401);
  CHECK(host.jobs() == 0);
}

TEST_CASE("GitHub's signature opens nothing for a sender of the other format, nor the other way round") {
  GithubHost host;
  std::filesystem::remove(host.paths.webhooks() + "/hub.key");
  host.intake->set_senders(must(daemon::load_senders(host.paths.webhooks())));
  const std::string by_key =
      "sha256=" + hex(crypto::hmac_sha256(host.key.view(), {host.any_deploy()}));
  CHECK(host.deliver(host.any_deploy(), "d1", by_key).status == 401);
}

TEST_CASE("[fault-9] a sender's file with an empty, short or malformed key is named and stops the start") {
  const std::string text = GENERATE(as<std::string>{}, "", "whsec_\n", "whsec_c2hvcnQ=\n",
      "no key at all\n", "format: github\nshort\n", "format: github\n");
  IntakeHost host;
  host.write(host.paths.webhooks() + "/weak.key", text);
  const auto loaded = daemon::load_senders(host.paths.webhooks());
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().message.find(host.paths.webhooks() + "/weak.key") != std::string::npos);
  for (const char* key_itself : {"c2hvcnQ=", "no key at all", "short\n"})
    CHECK(loaded.error().message.find(key_itself) == std::string::npos);
}

TEST_CASE("no senders are no error: nothing can be sent then") {
  IntakeHost host;
  std::filesystem::remove(host.paths.webhooks() + "/ci.key");
  host.intake->set_senders(must(daemon::load_senders(host.paths.webhooks())));
  CHECK(host.hook({.body = host.any_deploy()}).status == 401);
}

TEST_CASE("GitHub's ping is answered as a ping, whatever else the sender may do [fault-208]") {
  GithubHost host;
  host.write(host.paths.webhooks() + "/hub.key",
      cat("format: github\nsites: blog\ntypes: site.deploy\n", k_secret, "\n"));
  host.intake->set_senders(must(daemon::load_senders(host.paths.webhooks())));
  const std::string ping =
      R"({"zen":"Keep it logically awesome.","hook_id":42,"hook":{"type":"Repository"},"repository":{}})";
  const auto reply = host.deliver(ping, "d1", host.sign(ping));
  CHECK(reply.status == 202);
  CHECK(host.look(reply.body["job"]).kind == store::JobKind::ping);
  CHECK(host.deliver(ping, "d2", host.sign(ping)).status == 200);
  CHECK(host.deliver(ping, "d3", host.sign(ping + " ")).status == 401);
  // Only as GitHub's.
  CHECK(host.hook({.body = ping}).status == 422);
}

TEST_CASE("a form body, and an event of GitHub's own, are refused with what would be right [fault-208]") {
  GithubHost host;
  const std::string form = "payload=%7B%22zen%22%3A%22x%22%7D";
  const auto send = [&](const std::string& body, std::string_view content_type) {
    host.send(PacketVerb::hook, {"", "", "", host.sign(body), "d1", body, content_type});
    host.serve();
    return host.receive();
  };
  const auto refused = send(form, "application/x-www-form-urlencoded; charset=utf-8");
  CHECK(refused.status == 422);
  CHECK(refused.body["error"]["message"] ==
      "body: content type must be application/json, and is 'application/x-www-form-urlencoded'");
  CHECK(host.jobs() == 0);
  const auto push = send(R"({"ref":"refs/heads/main","commits":[]})", "application/json");
  CHECK(push.status == 422);
  CHECK(push.body["error"]["message"].get<std::string>().starts_with(
      "body: type: must be a string, and is missing: GitHub's own events are not taken"));
  CHECK(send(host.any_deploy(), "text/plain").status == 202);
}
