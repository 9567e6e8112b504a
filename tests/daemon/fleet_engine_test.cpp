#include "daemon/fleet_engine.hpp"

#include "control/packet.hpp"
#include "os/socket.hpp"
#include "rollout/claims.hpp"
#include "walking_host.hpp"

#include "catch.hpp"

#include <cstdlib>
#include <filesystem>
#include <future>
#include <thread>

using namespace chillbox;
using namespace chillbox::daemon;
using control::make_packet;
using control::PacketVerb;

namespace {

struct EngineOnDisk {
  std::string root = (std::filesystem::temp_directory_path() / "chillbox-engine-XXXXXX").string();
  EngineOnDisk() { REQUIRE(::mkdtemp(root.data()) != nullptr); }
  ~EngineOnDisk() { std::filesystem::remove_all(root); }
  FleetEngine::Host host() {
    return {os::real_disk(), os::real_clock(), os::Paths{root}, {}, false, {}};
  }
};

bool takes(FleetEngine& engine, const Bytes& packet) {
  return engine.take(packet).has_value();
}

} // namespace

TEST_CASE("[attack-G41] a courier that somebody else owns is ended when it says what no courier says") {
  EngineOnDisk place;
  FleetEngine engine(place.host());
  CHECK(takes(engine, make_packet(PacketVerb::engine_touch, 0, {""})));
  CHECK(engine.status().reachable);
  CHECK(takes(engine, make_packet(PacketVerb::engine_touch, 0, {"gone"})));
  CHECK(engine.status().problem == "gone");
  // What nobody waits for is dropped, whatever it says.
  CHECK(takes(engine, make_packet(PacketVerb::engine_value, 7, {"claims/a", "x", "1"})));
  CHECK(takes(engine, make_packet(PacketVerb::engine_done, 7, {"", "", "made", "9", "", "9", ""})));
  for (const auto& packet :
      {make_packet(PacketVerb::engine_touch, 0, {}),
          make_packet(PacketVerb::engine_done, 0, {"", ""}),
          make_packet(PacketVerb::engine_value, 0, {"a", "b", "c", "d"}),
          make_packet(PacketVerb::engine_change, 0, {"1"}), make_packet(PacketVerb::hook, 0, {"x"}),
          make_packet(PacketVerb::unlock, 0, {}), Bytes{1, 2, 3}, Bytes{}})
    CHECK_FALSE(takes(engine, packet));
}

TEST_CASE("[attack-G41] what is asked of the engine has keys and texts within its limits") {
  EngineOnDisk place;
  FleetEngine engine(place.host());
  const auto code_of = [&](const std::string& key, const std::string& text) {
    const auto done = engine.change({}, {{.key = key, .text = text}}, std::chrono::milliseconds{1});
    REQUIRE_FALSE(done);
    return done.error().code;
  };
  CHECK(code_of("claims/a", "x") == Code::unreachable); // no courier runs
  CHECK(code_of("/claims/a", "x") == Code::invalid);
  CHECK(code_of("", "x") == Code::invalid);
  CHECK(code_of("claims/a b", "x") == Code::invalid);
  CHECK(code_of(std::string(500, 'a'), "x") == Code::invalid);
  CHECK(code_of("claims/a", std::string(70'000, 'x')) == Code::too_large);
  CHECK_FALSE(engine.change({}, {}, std::chrono::milliseconds{1}));
}

namespace {

// A courier that this test is.
struct OwnedCourier {
  EngineOnDisk place;
  FleetEngine engine{place.host()};
  std::pair<Fd, Fd> ends = os::packet_pair().value();
  std::future<Result<void>> talking =
      std::async(std::launch::async, [this] { return engine.talk(std::move(ends.first)); });
  ~OwnedCourier() { ends.second.reset(); }
  void say(const Bytes& packet) { REQUIRE(os::send_packet(ends.second.get(), packet)); }
  // What comes next of the engine; "": nothing does. The sequence of it.
  std::string next(uint64_t* sequence = nullptr) {
    const auto packet =
        os::receive_packet(ends.second.get(), control::k_max_packet, os::Millis{500});
    if (!packet || !*packet)
      return "";
    const auto parsed = control::parse_packet((*packet)->bytes).value();
    if (sequence != nullptr)
      *sequence = parsed.sequence;
    return cat(static_cast<int>(parsed.verb), " ", parsed.fields[0]);
  }
};

std::string packet_name(PacketVerb verb) {
  return cat(static_cast<int>(verb), " fleet/");
}

} // namespace

TEST_CASE("[attack-G41] a courier that says without end that something changed makes the host ask it once") {
  OwnedCourier owned;
  CHECK(owned.next() == packet_name(PacketVerb::engine_follow));
  for (int i = 0; i < 100; ++i)
    owned.say(make_packet(PacketVerb::engine_changed, 0, {"fleet/"}));
  uint64_t sequence = 0;
  CHECK(owned.next(&sequence) == packet_name(PacketVerb::engine_read));
  CHECK(owned.next() == "");
  owned.say(make_packet(PacketVerb::engine_done, sequence, {"", "", "", "0", "", "9", ""}));
  owned.say(make_packet(PacketVerb::engine_changed, 0, {"fleet/"}));
  CHECK(owned.next() == packet_name(PacketVerb::engine_read));
}

TEST_CASE("[attack-G41] a courier that answers with more than an answer has is ended") {
  OwnedCourier owned;
  CHECK(owned.next() == packet_name(PacketVerb::engine_follow));
  owned.say(make_packet(PacketVerb::engine_changed, 0, {"fleet/"}));
  uint64_t sequence = 0;
  CHECK(owned.next(&sequence) == packet_name(PacketVerb::engine_read));
  const std::string text(60'000, 'x');
  for (size_t sent = 0; sent <= control::k_max_engine_answer; sent += text.size())
    (void)os::send_packet(owned.ends.second.get(),
        make_packet(PacketVerb::engine_value, sequence, {cat("fleet/", sent), text, "1"}));
  REQUIRE(owned.talking.wait_for(std::chrono::seconds{20}) == std::future_status::ready);
  const auto said = owned.talking.get();
  REQUIRE_FALSE(said);
  CHECK(said.error().message == "it sent more than 1572864 bytes of 'fleet/'");
}

TEST_CASE("[attack-G41] a courier that takes nothing holds up who asks it, and not the status of the host") {
  OwnedCourier owned;
  CHECK(owned.next() == packet_name(PacketVerb::engine_follow));
  std::vector<control::EngineWrite> writes;
  for (int i = 0; i < 60; ++i)
    writes.push_back({.key = cat("claims/", i), .text = std::string(60'000, 'x')});
  auto change = std::async(std::launch::async,
      [&] { return owned.engine.change({}, writes, std::chrono::milliseconds{10}).has_value(); });
  std::this_thread::sleep_for(os::Millis{300}); // it is full
  auto status = std::async(std::launch::async, [&] { return owned.engine.status().reachable; });
  CHECK(status.wait_for(std::chrono::seconds{2}) == std::future_status::ready);
  CHECK(change.wait_for(std::chrono::seconds{0}) == std::future_status::timeout);
  owned.ends.second.reset();
  CHECK_FALSE(change.get());
}

TEST_CASE("the name of a claim is its due time in UTC, so that a clock that is set back, or another time zone, makes no second one") {
  const SiteName site = SiteName::parse("hello").value();
  CHECK(rollout::claim_minute(1'795'985'400) == "2026-11-29T20:50Z");
  const auto key = rollout::cron_claim_key(site, "* * * * * api/note", 1'795'985'400);
  CHECK(key.starts_with("claims/hello/cron/"));
  CHECK(key.ends_with("/2026-11-29T20:50Z"));
  CHECK(control::is_engine_key(key));
  CHECK(key == rollout::cron_claim_key(site, "* * * * * api/note", 1'795'985'459));
  CHECK(key != rollout::cron_claim_key(site, "* * * * * api/other", 1'795'985'400));
}

TEST_CASE("what is wrong with an engine is said with its time") {
  using control::engine_trouble;
  CHECK(engine_trouble({.reachable = true}, 0) == "");
  CHECK(engine_trouble({.problem = "x"}, 3 * 3'600'000) ==
      "no word from the fleet's engine for 3 h: x");
  CHECK(
      engine_trouble({.problem = "x"}, 600'000) == "no word from the fleet's engine for 10 min: x");
  CHECK(engine_trouble({.reachable = true, .ahead_s = 90}, 0) == "");
  CHECK(engine_trouble({.reachable = true, .ahead_s = -301}, 0) ==
      "this host's clock is 301 s ahead of that of the fleet's engine: what runs once does not run here");
  CHECK(engine_trouble({.reachable = true, .problem = "it went back"}, 0) == "it went back");
}

namespace {

struct EngineWithClock : test::MemoryEngine {
  int64_t ahead = 0;
  control::EngineStatus status() const override { return {.reachable = true, .ahead_s = ahead}; }
};

} // namespace

TEST_CASE("a due time is claimed by one host, not when it is long past, and not by one whose clock is wrong") {
  test::WalkingHost host;
  EngineWithClock engine;
  host.context().fleet = &engine;
  const SiteName site = SiteName::parse("hello").value();
  const int64_t now = host.context().clock.wall(), due = now - now % 60;
  const auto claim = [&](int64_t at) {
    return rollout::claim_run(host.context(), site, "* * * * * api/note", at);
  };
  const auto first = claim(due);
  REQUIRE(first);
  CHECK(first->won);
  CHECK(first->fence > 0);
  CHECK(first->run == rollout::cron_claim_key(site, "* * * * * api/note", due).substr(7));
  // Its own one again, as after a clock that was set back by a minute.
  const auto second = claim(due);
  REQUIRE(second);
  CHECK_FALSE(second->won);
  // 90 s apart is well, more than five minutes is not.
  engine.ahead = 90;
  const auto next = claim(due + 60);
  REQUIRE(next);
  CHECK(next->won);
  CHECK(next->fence > first->fence);
  for (const int64_t ahead : {301, -301}) {
    engine.ahead = ahead;
    const auto refused = claim(due + 120);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.starts_with("the clock of this host is 301 s "));
  }
  engine.ahead = 0;
  CHECK(claim(due - 240)->won);
  const auto late = claim(due - 360);
  REQUIRE_FALSE(late);
  CHECK(late.error().message.ends_with("too long ago to be claimed"));
  engine.down(true);
  CHECK(claim(due + 180).error().code == Code::unreachable);
  host.context().fleet = nullptr;
}

namespace {

struct ClaimingHost : test::WalkingHost {
  ClaimingHost() { context().fleet = &engine; }
  Result<rollout::CommandClaim> claim() {
    return rollout::claim_command(context(), test::site(), "1.0.0", "api");
  }
  Result<void> wait(const rollout::CommandClaim& claim) {
    return rollout::wait_for_outcome(context(), claim, os::Millis{1'000}, [] { return false; });
  }
  // As the owner of the engine.
  void outcome(const crypto::MinisignSecretKey& key, const std::string& text,
      std::string_view comment = "chillbox outcome") {
    engine.put(name + "/outcome",
        dump(control::to_json(control::SignedReport{text, test::minisigned(key, text, comment)})));
  }
  std::string name = "claims/blog/release/1.0.0/api";
  test::MemoryEngine engine;
};

} // namespace

TEST_CASE("a claim whose answer got lost is gone on with, one whose command may have begun is not, and a version's command runs once") {
  ClaimingHost host;
  host.engine.lose_answer("claims/");
  REQUIRE_FALSE(host.claim());
  const auto claim = host.claim();
  REQUIRE(claim);
  CHECK(claim->fence == test::must(host.engine.read(host.name, {})).at(0).fence);
  test::must(rollout::begin_command(host.context(), *claim));
  const auto again = host.claim();
  REQUIRE(again);
  CHECK(again->fence == 0);
  CHECK(again->own);
  CHECK(
      host.wait(*again).error().message == "it is lost: web1 began it and never said how it ended");
  test::must(rollout::tell_outcome(host.context(), *claim, {}));
  CHECK(host.claim()->fence == 0);
  CHECK(host.wait(*again));
  CHECK_FALSE(test::must(host.store().meta(cat("claim ", host.name))));
}

TEST_CASE("[attack-G34] an outcome is believed that the host of the claim signed, of this claim") {
  ClaimingHost host;
  host.engine.put(host.name, R"({"host":"web2","id":"0"})");
  const auto claim = host.claim();
  REQUIRE(claim);
  CHECK(claim->host == "web2");
  const auto text = [&](const std::string& name, const std::string& of,
                        const std::string& problem) {
    return dump(Json{{"claim", name}, {"host", of}, {"problem", problem}});
  };
  const std::string good = text(host.name, "web2", "");
  const auto refused = [&] {
    const auto said = host.wait(*claim);
    return !said && said.error().message.starts_with("outcome of 'web2': ") &&
        said.error().code != Code::failure;
  };
  for (const auto& unsigned_text : {std::string(), std::string("x"), good}) {
    host.engine.put(host.name + "/outcome", unsigned_text);
    CHECK(refused());
  }
  host.outcome(host.web3, good);
  CHECK(refused());
  host.outcome(host.web2, good, control::k_report_comment);
  CHECK(refused());
  host.outcome(host.web2, text("claims/blog/release/0.9.0/api", "web2", ""));
  CHECK(refused());
  host.outcome(host.web2, text(host.name, "web3", ""));
  CHECK(refused());
  host.outcome(host.web2, text(host.name, "web2", cat("\033[2Jlocked", std::string(5000, 'x'))));
  const auto failed = host.wait(*claim);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == Code::failure);
  CHECK(failed.error().message.starts_with("it failed on web2: "));
  CHECK(failed.error().message.find('\033') == std::string::npos);
  CHECK(failed.error().message.size() < 1100);
  host.outcome(host.web2, good);
  CHECK(host.wait(*claim));
}
