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
