#include "catch.hpp"

#include "crypto/mutant.hpp"
#include "intake_host.hpp"

#include <cstdlib>
#include <map>

using namespace chillbox;
using namespace chillbox::test;

namespace {

constexpr size_t k_mutations_at_once = 32; // what the pair of sockets holds

const std::string k_github_secret = "It's a Secret to Everybody";

size_t count_of(const char* variable, size_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : static_cast<size_t>(parse_u64(text).value_or(otherwise));
}

// All that can be sent, signed: short and long, of both formats.
std::vector<Webhook> right_ones(IntakeHost& host) {
  std::vector<Webhook> all;
  const std::string now = std::to_string(host.clock.wall());
  const std::string bodies[] = {host.order("host.ping", ""), host.any_deploy("blog"),
      host.order("secrets.update",
          cat(R"("site":"shop","sha256":")", std::string(64, 'b'), R"(","size":10)")),
      host.order("host.ping", cat(R"("pad":")", std::string(3000, 'x'), '"'))};
  for (int i = 0; i < 32; ++i) {
    const std::string body = bodies[i % 4] + std::string(static_cast<size_t>(i), ' ');
    Webhook w{.id = cat("msg_", std::string(static_cast<size_t>(1 + 3 * i), 'a'), i),
        .timestamp = now,
        .signature = {},
        .body = body,
        .github = {},
        .github_delivery = {}};
    w.signature = crypto::sign_webhook(host.key, w.id, w.timestamp, w.body);
    if (i % 4 == 0) {
      w = {.id = {},
          .timestamp = {},
          .signature = {},
          .body = body,
          .github = {},
          .github_delivery = cat("72d3162e-", i)};
      w.github = cat("sha256=", hex(crypto::hmac_sha256(bytes_of(k_github_secret), {body})));
    }
    all.push_back(std::move(w));
  }
  return all;
}

void send(IntakeHost& host, const Webhook& w) {
  host.send(PacketVerb::hook,
      {w.id, w.timestamp, w.signature, w.github, w.github_delivery, w.body, "application/json"});
}

} // namespace

TEST_CASE("[fault-6] [fault-10] one change makes a webhook worthless, whatever it is (CHILLBOX_MUTATIONS: how many) [attack-E4]") {
  IntakeHost host;
  host.write(host.paths.webhooks() + "/hub.key", cat("format: github\n", k_github_secret, "\n"));
  host.intake->set_senders(must(daemon::load_senders(host.paths.webhooks())));
  const auto right = right_ones(host);
  Dice dice{2026};
  std::map<int, size_t> answers;
  const size_t count = count_of("CHILLBOX_MUTATIONS", 20'000);
  for (size_t sent = 0; sent < count;) {
    size_t batch = 0;
    for (; batch < k_mutations_at_once && sent < count; ++batch, ++sent)
      send(host, mutant(right[dice.below(right.size())], dice));
    REQUIRE(host.serve());
    for (; batch > 0; --batch)
      ++answers[host.receive().status];
  }
  for (const auto& [status, n] : answers) {
    std::printf("mutations: %zu answered %d\n", n, status);
    CHECK((status == 400 || status == 401));
  }
  CHECK(host.jobs() == 0);
  for (const auto& w : right) { // and without the change each of them is good
    send(host, w);
    host.serve();
    CHECK(host.receive().status == 202);
  }
}
