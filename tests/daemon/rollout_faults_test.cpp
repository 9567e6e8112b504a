// A walk in a bad hour: its files, its clock, its lease, its engine and its roster.
#include "daemon/walking_host.hpp"
#include "nginx/nginx.hpp"

using namespace chillbox;
using namespace chillbox::test;

namespace {

constexpr std::string_view k_slot = "slots/blog/0";

size_t refusals(WalkingHost& host) {
  size_t n = 0;
  for (const auto& entry : must(host.store().audit_entries(1000)))
    n += entry.actor == "fleet engine" ? 1 : 0;
  return n;
}

} // namespace

TEST_CASE("[attack-G43] who owns the engine washes nothing out of the audit trail") {
  WalkingHost web1;
  const auto order = web1.walks_to(HostTurn::done);
  const std::string key = daemon::reports_key(order);
  for (size_t i = 0; i < 100; ++i)
    web1.fleet.put(cat(key, "x", i), "{}"); // of hosts that the order does not name
  web1.fleet.put(key + "web2", "{}");
  CHECK(web1.recorded("report web2: "));
  CHECK(refusals(web1) == 1);
  // The same of another site is another thing.
  web1.force(9, "{}");
  CHECK(web1.recorded("order: "));
  web1.fleet.put("orders/shop", "1\n{}");
  CHECK(eventually([&] { return refusals(web1) == 3; }));
  for (size_t i = 0; i < 2 * daemon::k_most_records; ++i)
    web1.fleet.put(cat("orders/s", i), "1\n{}");
  CHECK(eventually([&] { return refusals(web1) == daemon::k_most_records; }));
  web1.fleet.put("orders/last", "1\n{}");
  std::this_thread::sleep_for(os::Millis{100});
  CHECK(refusals(web1) == daemon::k_most_records);
  web1.clock.move(os::Millis{3'600'000}); // the next hour
  web1.fleet.put("orders/last", "1\n[]");
  CHECK(eventually([&] { return refusals(web1) > daemon::k_most_records; }));
}

TEST_CASE("no order is taken for a host whose reports nobody could verify") {
  WalkingHost web1;
  web1.roster.hosts[2].report_key.clear(); // as rosters of before had it
  web1.take_roster();
  const auto order = web1.order(1, "2.0.0");
  const auto taken = web1.all->take(site(), web1.signed_text(order));
  CHECK(taken.error().code == Code::denied);
  CHECK(taken.error().message ==
      "order for host 'web3', which has no report key in the roster of fleet 'shop': "
      "chillboxctl fleet rotate");
}

TEST_CASE("an order that did not hold is taken when its signer is trusted, without a word of the engine") {
  WalkingHost web1;
  const auto kim = crypto::MinisignSecretKey::generate();
  const auto order = web1.order(1, "2.0.0");
  web1.force(1, WalkingHost::signed_text(order, kim));
  CHECK(web1.recorded("no trusted key"));
  web1.write(web1.paths.trusted() + "/kim.pub", kim.public_key().to_file());
  web1.all->trust();
  REQUIRE(eventually([&] {
    const auto file = must(rollout::read_order_file(web1.context(), site()));
    return file && file->taken.signer == "kim";
  }));
}

TEST_CASE("the engine goes away while a host is drained: it takes visitors again until its slot is confirmed") {
  WalkingHost web1;
  auto order = web1.order(1, "2.0.0");
  order.drain_ms = 600'000;
  web1.give(order);
  const std::string flag = nginx::drain_flag(web1.paths, site());
  const auto drained = [&] { return std::filesystem::exists(flag); };
  REQUIRE(eventually(drained));
  web1.fleet.down(true);
  web1.clock.move(os::Millis{600'000});
  web1.all->look();
  REQUIRE(eventually([&] { return !drained(); }));
  web1.all->look();
  std::this_thread::sleep_for(os::Millis{2'500}); // longer than until its next try
  CHECK_FALSE(drained());
  CHECK(web1.version() == "1.0.0");
  web1.fleet.down(false);
  REQUIRE(eventually(drained));
  web1.clock.move(os::Millis{600'000});
  web1.all->look();
  REQUIRE(web1.becomes(order, HostTurn::done));
  CHECK_FALSE(drained());
}

TEST_CASE("a slot is gone before its job has begun: no job begins, drained or not") {
  for (const uint64_t drain : {0, 600'000}) {
    WalkingHost web1;
    auto order = web1.order(1, "2.0.0");
    order.drain_ms = drain;
    bool first = true;
    web1.fleet.on_made([&](const std::string& key) {
      if (key == k_slot && std::exchange(first, false))
        web1.fleet.put_new(key, "web3 xyz");
    });
    web1.give(order);
    REQUIRE(eventually(
        [&] { return web1.mine(order).message == "its slot was taken away before it had begun"; }));
    CHECK(web1.version() == "1.0.0");
    CHECK(web1.fleet.text(std::string(k_slot)) == "web3 xyz");
    CHECK_FALSE(std::filesystem::exists(nginx::drain_flag(web1.paths, site())));
  }
}

TEST_CASE("the lease goes within the job, and nobody took the slot: the host is live all the same") {
  WalkingHost web1;
  const auto order = web1.order(1, "2.0.0");
  test::Door door;
  web1.runner.app("2.0.0").building = [&](const os::Command&) { door.stand(); };
  web1.give(order);
  REQUIRE(door.wait_for_somebody());
  web1.fleet.remove(std::string(k_slot)); // as after a restart of the courier
  door.open();
  REQUIRE(web1.becomes(order, HostTurn::done));
  CHECK(web1.fleet.text(std::string(k_slot)).empty());
}

TEST_CASE("the clock of a host jumps over the deadline: it goes back by the engine's time alone") {
  WalkingHost web1;
  const auto order = web1.walks_to(HostTurn::done, goes_back);
  web1.say(order, "web2", HostTurn::done);
  web1.fleet.clock(-3'600);
  web1.clock.move(os::Millis{3'600'001});
  web1.all->look();
  std::this_thread::sleep_for(os::Millis{200});
  CHECK(web1.version() == "2.0.0");
  CHECK(web1.mine(order).state == HostTurn::done);
  web1.fleet.clock(0); // it was the engine's, too
  web1.all->look();
  REQUIRE(web1.becomes(order, HostTurn::rolled_back));
}

TEST_CASE("[fault-886] an order that cannot be kept is tried again, and not lost") {
  WalkingHost web1;
  std::filesystem::remove_all(web1.paths.rollouts());
  std::ofstream(web1.paths.rollouts()) << "in the way";
  const auto order = web1.order(1, "2.0.0");
  web1.force(1, web1.signed_text(order));
  CHECK(web1.recorded("order: "));
  std::filesystem::remove(web1.paths.rollouts());
  std::filesystem::create_directories(web1.paths.rollouts());
  REQUIRE(web1.becomes(order, HostTurn::done));
}

TEST_CASE("[fault-886] the damaged file of one site is a row with its problem, and the others are read") {
  WalkingHost web1;
  const auto order = web1.walks_to(HostTurn::done);
  web1.write(web1.paths.rollouts() + "/shop.json", "{");
  const auto rows = web1.rows();
  REQUIRE(rows.size() == 2);
  CHECK(rows[rows[0].site == "shop" ? 0 : 1].problem.find("shop.json: ") != std::string::npos);
  CHECK(rows[rows[0].site == "blog" ? 0 : 1].problem.empty());
  const auto one = must(web1.all->all([](const SiteName& name) { return name.str() == "blog"; }));
  CHECK(one.size() == 1);
}

TEST_CASE("a roster that cannot be read for a moment ends no walk; a signer who is not trusted any more does") {
  WalkingHost web1;
  const auto order = web1.walks_to(HostTurn::staged, comes_second);
  const std::string roster = web1.slurp(web1.paths.roster());
  std::filesystem::remove(web1.paths.roster());
  for (int i = 0; i < 10; ++i) {
    web1.all->look();
    std::this_thread::sleep_for(os::Millis{20});
  }
  CHECK_FALSE(must(rollout::read_order_file(web1.context(), site()))->walked.ended);
  web1.write(web1.paths.roster(), roster);
  web1.all->trust();
  for (const auto& file : std::filesystem::directory_iterator(web1.paths.trusted()))
    std::filesystem::remove(file);
  web1.all->trust();
  CHECK(web1.ends(1));
  CHECK(web1.recorded("no trusted key"));
  CHECK(web1.mine(order).code == "denied"); // and the others know
}
