#include "catch.hpp"

#include "crypto/mutant.hpp"
#include "intake_host.hpp"

#include <sys/socket.h>

#include <cstdlib>

using namespace chillbox;
using namespace chillbox::test;

namespace {

constexpr size_t k_at_once = 16;
const std::string k_digest(64, 'a');

size_t scaled(size_t full) {
  const char* text = std::getenv("CHILLBOX_HOSTILE");
  return text != nullptr && std::string_view(text) == "all" ? full : full / 100;
}

// Everything that a packet could have changed.
struct Traces {
  size_t jobs;
  std::vector<std::string> inbox, artifacts;
  size_t audited;
  bool operator==(const Traces&) const = default;
};

Traces traces(IntakeHost& host) {
  return {host.jobs(), must(os::real_disk().list(host.paths.inbox())),
      must(os::real_disk().list(host.paths.artifacts())),
      must(host.store().audit_entries(1000)).size()};
}

Bytes noise(Dice& dice) {
  Bytes bytes(dice.below(4) == 0 ? dice.below(4000) : dice.below(60));
  for (auto& b : bytes)
    b = static_cast<uint8_t>(dice.below(256));
  if (dice.below(2) == 0 && bytes.size() > 4) { // with a head that could be one
    bytes[0] = static_cast<uint8_t>(1 + dice.below(7));
    bytes[1] = bytes[3] = 0;
    bytes[2] = static_cast<uint8_t>(dice.below(8));
  }
  return bytes;
}

// A field as an edge that was taken over might fill it: empty, huge, a path, a number out of range,
// what is right elsewhere.
std::string field(Dice& dice, const std::vector<std::string>& known) {
  static const std::vector<std::string> k_odd{"", "-1", "18446744073709551616", "0",
      "../../etc/shadow", "/etc/shadow", std::string(1, '\0'), "artifact", "minisig", "wait", "ok",
      "0123456789abcdef", k_digest, std::string(64, 'A'), "v1,AAAA",
      "sha256=", R"({"type":"host.ping"})", "%00", "\r\nX: y", "'; DROP TABLE jobs;--"};
  switch (dice.below(4)) {
  case 0: return std::string(dice.below(3000), static_cast<char>(dice.below(256)));
  case 1: return known[dice.below(known.size())];
  default: return k_odd[dice.below(k_odd.size())];
  }
}

Bytes well_formed(Dice& dice, const std::vector<std::string>& known) {
  static constexpr uint16_t k_verbs[] = {1, 2, 3, 4, 5, 6, 32, 64, 65, 66, 96, 97, 128, 129};
  const auto verb = static_cast<PacketVerb>(k_verbs[dice.below(std::size(k_verbs))]);
  std::vector<std::string> f;
  for (size_t n = dice.below(9); n > 0; --n)
    f.push_back(field(dice, known));
  const uint64_t sequence = dice.state;
  switch (f.size()) {
  case 0: return control::make_packet(verb, sequence, {});
  case 1: return control::make_packet(verb, sequence, {f[0]});
  case 2: return control::make_packet(verb, sequence, {f[0], f[1]});
  case 3: return control::make_packet(verb, sequence, {f[0], f[1], f[2]});
  case 4: return control::make_packet(verb, sequence, {f[0], f[1], f[2], f[3]});
  case 5: return control::make_packet(verb, sequence, {f[0], f[1], f[2], f[3], f[4]});
  case 6: return control::make_packet(verb, sequence, {f[0], f[1], f[2], f[3], f[4], f[5]});
  default:
    return control::make_packet(verb, sequence, {f[0], f[1], f[2], f[3], f[4], f[5], f.back()});
  }
}

// Sends what `make` makes; all answers must be refusals, but those to a question about health.
template <class Make> size_t attack(IntakeHost& host, size_t count, Make make) {
  size_t answered = 0;
  for (size_t sent = 0; sent < count;) {
    for (size_t i = 0; i < k_at_once && sent < count; ++i, ++sent)
      if (const Bytes bytes = make(); !bytes.empty())
        must(os::send_packet(host.edge.get(), bytes));
    REQUIRE(host.serve());
    for (Reply reply = host.receive(); reply.status != 0; reply = host.receive()) {
      ++answered;
      if ((reply.status < 400 || reply.status >= 500) && !reply.body.contains("sealed"))
        FAIL("answered " << reply.status << ": " << reply.text);
      REQUIRE_FALSE(reply.fd);
    }
  }
  return answered;
}

} // namespace

TEST_CASE("an edge that was taken over and says noise has no effect (CHILLBOX_HOSTILE=all: a million packets)") {
  IntakeHost host;
  const Traces before = traces(host);
  Dice dice{1};
  const size_t answered = attack(host, scaled(1'000'000), [&] { return noise(dice); });
  std::printf("hostile: %zu packets of noise, %zu answered, all of them refusals or health\n",
      scaled(1'000'000), answered);
  CHECK(traces(host) == before);
  CHECK(host.ask(PacketVerb::health, {}).status == 200);
}

TEST_CASE("an edge that was taken over and says well-formed packets of all verbs has no effect (CHILLBOX_HOSTILE=all: 100,000)") {
  IntakeHost host;
  // It saw a webhook and its answer pass: it knows a job and its digest, and the capability of
  // another host's job.
  const Reply accepted = host.hook({.body = host.any_deploy()});
  REQUIRE(accepted.status == 202);
  const std::string job = accepted.body["job"];
  const std::vector<std::string> known{job, k_digest, "fedcba9876543210", std::string(32, 'c'),
      cat(job, ".", std::string(32, '0')), host.any_deploy(), std::to_string(host.clock.wall()),
      "msg_1", "unlock", "100"};
  const Traces before = traces(host);
  Dice dice{2};
  const size_t answered = attack(host, scaled(100'000), [&] { return well_formed(dice, known); });
  std::printf("hostile: %zu well-formed packets, %zu answered, all of them refusals or health\n",
      scaled(100'000), answered);
  CHECK(traces(host) == before);
  CHECK(host.look(job).state == store::JobState::waiting_upload);
  CHECK(host.ask(PacketVerb::health, {}).status == 200);
}

TEST_CASE("an edge that takes no answers holds the monitor up once, and is then to be replaced") {
  IntakeHost host;
  auto [ours, theirs] = must(os::packet_pair());
  const timeval limit{0, 100'000}; // on a host it is ten seconds
  REQUIRE(::setsockopt(ours.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
  host.intake->attach(std::move(ours));
  host.edge = std::move(theirs);
  bool good = true;
  const auto begun = os::real_clock().mono();
  for (int round = 0; round < 100 && good; ++round) {
    for (int i = 0; i < 100; ++i)
      host.send(PacketVerb::health, {});
    good = host.serve();
  }
  CHECK_FALSE(good);
  CHECK(os::real_clock().mono() - begun < os::Millis{1'000});
  auto [next_ours, next_theirs] = must(os::packet_pair());
  host.intake->attach(std::move(next_ours));
  host.edge = std::move(next_theirs);
  CHECK(host.ask(PacketVerb::health, {}).status == 200);
}

TEST_CASE("descriptors that ride along with an edge's packets are closed") {
  IntakeHost host;
  const auto open = [] { return must(os::real_disk().list("/proc/self/fd")).size(); };
  const size_t before = open();
  for (int i = 0; i < 100; ++i) {
    must(os::send_packet(host.edge.get(), control::make_packet(PacketVerb::health, 1, {}), 2));
    host.serve();
    CHECK(host.receive().status == 200);
  }
  CHECK(open() == before);
}
