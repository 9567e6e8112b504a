// A host walks the orders of its fleet: what it does, and what it does not do whoever owns the
// engine.
#include "daemon/walking_host.hpp"

using namespace chillbox;
using namespace chillbox::test;

TEST_CASE("a host takes an order, switches with a slot, and is done; then it waits for the others") {
  WalkingHost web1;
  const auto order = web1.walks_to(HostTurn::done);
  CHECK(web1.version() == "2.0.0");
  CHECK(web1.mine(order).before == "1.0.0-1");
  CHECK(web1.mine(order).live == web1.live().id);
  CHECK(web1.fleet.text("slots/blog/0").empty());
  CHECK(eventually([&] { return web1.fleet.released() == 1; }));
  web1.say(order, "web2", HostTurn::done);
  web1.say(order, "web3", HostTurn::done);
  CHECK(web1.ends(1));
  // What is said of an order goes from the engine in time.
  CHECK(web1.fleet.kept(daemon::reports_key(order) + "web1") == std::chrono::days{90});
  const auto job = must(web1.store().jobs("blog", 1)).front();
  CHECK(job.actor == "rollout:anna");
  const auto rows = web1.rows();
  REQUIRE(rows.size() == 1);
  CHECK(rows.front().ended);
  CHECK(control::verdict_of_rollout(rows.front()));
}

TEST_CASE("a host of a later batch waits for those before it, whatever is in the engine") {
  WalkingHost web1;
  const auto order = web1.walks_to(HostTurn::staged, comes_second);
  web1.say(order, "web3", HostTurn::done);
  web1.say(order, "web2", HostTurn::live);
  CHECK(web1.version() == "1.0.0");
  web1.fleet.put("slots/blog/0", "web3 xyz"); // the only one
  web1.say(order, "web2", HostTurn::done);
  std::this_thread::sleep_for(os::Millis{100});
  CHECK(web1.mine(order).state == HostTurn::staged);
  web1.fleet.remove("slots/blog/0");
  REQUIRE(web1.becomes(order, HostTurn::done));
}

TEST_CASE("rollout stop lets no host begin, and resume lets it go on") {
  WalkingHost web1;
  const auto order = web1.walks_to(HostTurn::staged, comes_second);
  must(web1.all->stop_site(site(), {"kim", "not now"}));
  CHECK(web1.rows().front().stop->by == "kim");
  CHECK(web1.fleet.kept(daemon::stop_key(order)) == std::chrono::days{90});
  web1.say(order, "web2", HostTurn::done);
  std::this_thread::sleep_for(os::Millis{100});
  CHECK(web1.mine(order).state == HostTurn::staged);
  must(web1.all->resume(site()));
  REQUIRE(web1.becomes(order, HostTurn::done));
  CHECK(web1.all->stop_site(site("shop"), {}).error().code == Code::not_found);
}

TEST_CASE("a release that fails leaves what was live, and a stop for the others") {
  WalkingHost web1;
  web1.runner.app("2.0.0").status = 500;
  const auto order = web1.walks_to(HostTurn::failed);
  CHECK(web1.version() == "1.0.0");
  CHECK(control::parse_stop(web1.fleet.text(daemon::stop_key(order))).by == "web1");
  CHECK(web1.fleet.text("slots/blog/0").empty());
  CHECK(web1.ends(1));
  CHECK(web1.rows().front().ended);
}

TEST_CASE("another host fails: this one goes back to what it had, if the order says so") {
  WalkingHost web1;
  const auto order = web1.walks_to(HostTurn::done, goes_back);
  web1.say(order, "web2", HostTurn::failed);
  REQUIRE(web1.becomes(order, HostTurn::rolled_back));
  CHECK(web1.version() == "1.0.0");
  CHECK(web1.mine(order).message == "back to 1.0.0-1: web2 failed");
  CHECK(web1.fleet.text("slots/blog/0").empty());
  CHECK(web1.ends(1));
}

TEST_CASE("the deadline passes without a host: stop keeps the new release, rollback does not") {
  for (const bool back : {false, true}) {
    WalkingHost web1;
    auto order = web1.order(1, "2.0.0");
    order.on_failure = back ? "rollback" : "stop";
    web1.give(order);
    REQUIRE(web1.becomes(order, HostTurn::done));
    web1.say(order, "web2", HostTurn::done);
    web1.clock.move(os::Millis{3'600'001});
    web1.all->look();
    if (back)
      REQUIRE(web1.becomes(order, HostTurn::rolled_back));
    CHECK(web1.ends(1));
    CHECK(web1.version() == (back ? "1.0.0" : "2.0.0"));
  }
}

TEST_CASE("[attack-G47] a slot that is lost within the switch: the host finishes what it had begun, and is outside of the rollout") {
  WalkingHost web1;
  auto order = web1.order(1, "2.0.0");
  test::Door door;
  web1.runner.app("2.0.0").building = [&](const os::Command&) { door.stand(); };
  web1.give(order);
  REQUIRE(door.wait_for_somebody());
  web1.fleet.remove("slots/blog/0"); // its lease was over
  web1.fleet.put("slots/blog/0", "web3 xyz");
  door.open();
  REQUIRE(web1.becomes(order, HostTurn::outside));
  CHECK(web1.mine(order).message.find("its slot was taken away") != std::string::npos);
  CHECK(web1.version() == "2.0.0"); // it finished what it had begun
  CHECK(web1.fleet.text("slots/blog/0") == "web3 xyz");
  CHECK(web1.ends(1));
}

TEST_CASE("the engine goes away in the middle: the job ends, and its report comes when the engine is back") {
  WalkingHost web1;
  auto order = web1.order(1, "2.0.0");
  test::Door door;
  web1.runner.app("2.0.0").building = [&](const os::Command&) { door.stand(); };
  web1.give(order);
  REQUIRE(door.wait_for_somebody());
  web1.fleet.down(true);
  door.open();
  REQUIRE(eventually([&] { return web1.version() == "2.0.0"; }));
  web1.fleet.down(false);
  REQUIRE(web1.becomes(order, HostTurn::done));
}

TEST_CASE("[fault-901] the engine takes a slot or a report, and its answer gets lost: the host has the slot once, gives it back, and is done") {
  for (const char* lost : {"slots/", "reports/"}) {
    WalkingHost web1;
    auto order = web1.order(1, "2.0.0");
    test::Door door;
    web1.runner.app("2.0.0").building = [&](const os::Command&) { door.stand(); };
    if (lost == std::string_view("slots/"))
      web1.fleet.lose_answer(lost);
    web1.give(order);
    REQUIRE(door.wait_for_somebody());
    web1.fleet.lose_answer(lost == std::string_view("slots/") ? "" : lost); // of "live"
    door.open();
    REQUIRE(web1.becomes(order, HostTurn::done));
    CHECK(web1.version() == "2.0.0");
    CHECK(web1.fleet.text("slots/blog/0").empty());
    CHECK(eventually([&] { return web1.fleet.released() > 0; }));
  }
}

TEST_CASE("[fault-901] the answer to who took a slot gets lost, and the rollout is stopped: the slot is given back by whoever asked for it") {
  WalkingHost web1;
  const auto order = web1.order(1, "2.0.0");
  web1.fleet.on_made([&](const std::string& key) {
    if (key == "slots/blog/0" && !web1.fleet.text(key).empty())
      web1.fleet.put(daemon::stop_key(order), "{}");
  });
  web1.fleet.lose_answer("slots/");
  web1.give(order);
  REQUIRE(eventually([&] { return !web1.fleet.text(daemon::stop_key(order)).empty(); }));
  CHECK(eventually([&] { return web1.fleet.text("slots/blog/0").empty(); }));
  CHECK(web1.version() == "1.0.0");
}

TEST_CASE("the lease goes with the last slot of this host, and not while another site asks for one") {
  WalkingHost web1;
  size_t released = 1;
  web1.fleet.on_made([&](const std::string& key) {
    if (key != "slots/blog/0" || web1.fleet.text(key).empty())
      return;
    web1.all->took_slot(site("shop")); // which comes and goes meanwhile
    web1.all->gave_slot(site("shop"));
    released = web1.fleet.released();
  });
  const auto order = web1.walks_to(HostTurn::done);
  CHECK(released == 0);
  CHECK(eventually([&] { return web1.fleet.released() == 1; }));
  web1.all->gave_slot(site("shop")); // has none
  CHECK(web1.fleet.released() == 1);
}

TEST_CASE("a locked host is skipped, and goes on when it is unlocked") {
  WalkingHost web1;
  web1.context().vault.lock();
  const auto order = web1.walks_to(HostTurn::skipped_sealed);
  web1.unlock();
  web1.all->look();
  REQUIRE(web1.becomes(order, HostTurn::done));
}

TEST_CASE("a newer order takes the place of one that is under way, an older one does not") {
  WalkingHost web1;
  auto first = web1.order(4, "2.0.0");
  first.batches = {{{"web2"}}, {{"web1", "web3"}}};
  web1.give(first);
  REQUIRE(web1.becomes(first, HostTurn::staged));
  const auto second = web1.order(5, "3.0.0");
  web1.give(second);
  REQUIRE(web1.becomes(second, HostTurn::done));
  CHECK(web1.version() == "3.0.0");
  const auto late = web1.all->take(site(), web1.signed_text(web1.order(5, "4.0.0")));
  CHECK(late.error().code == Code::denied);
  // The engine has a newer one than this host knows of.
  web1.end_walks();
  web1.force(9, web1.signed_text(web1.order(9, "9.0.0")));
  const auto beaten = web1.all->take(site(), web1.signed_text(web1.order(6, "6.0.0")));
  CHECK(beaten.error().code == Code::conflict);
  CHECK(
      beaten.error().message.find("order 9 of 'blog', for version 9.0.0 and signed by anna") == 0);
}

TEST_CASE("an order is brought twice: the second time nothing is new") {
  WalkingHost web1;
  const auto order = web1.order(1, "2.0.0");
  CHECK(must(web1.all->take(site(), web1.signed_text(order))).changed);
  CHECK_FALSE(must(web1.all->take(site(), web1.signed_text(order))).changed);
  REQUIRE(web1.becomes(order, HostTurn::done));
  CHECK_FALSE(must(web1.all->take(site(), web1.signed_text(order))).changed);
}

TEST_CASE("the daemon is restarted in the middle, and the walk goes on from the file") {
  WalkingHost web1;
  const auto order = web1.walks_to(HostTurn::staged, comes_second);
  CHECK(must(rollout::prune_artifacts(web1.context())).paths.empty()); // it has yet to be live
  web1.restart_all();
  web1.unlock();
  web1.all->look();
  web1.say(order, "web2", HostTurn::done);
  REQUIRE(web1.becomes(order, HostTurn::done));
  web1.restart_all();
  web1.unlock();
  web1.say(order, "web3", HostTurn::done);
  CHECK(web1.ends(1));
}

TEST_CASE("[attack-G42] who owns the engine brings no host an order that its deployer did not sign, and no older one back") {
  WalkingHost web1;
  const auto first = web1.order(3, "2.0.0");
  web1.give(first);
  REQUIRE(web1.becomes(first, HostTurn::done));
  const auto jobs = must(web1.store().jobs("blog", 100)).size();
  web1.force(9, "{}");
  CHECK(web1.recorded("order of a rollout: "));
  const auto next = web1.order(4, "3.0.0");
  std::string edited = web1.signed_text(next);
  edited.replace(edited.find("3.0.0"), 5, "3.0.1");
  web1.force(9, edited);
  CHECK(web1.recorded("does not match this file"));
  web1.force(9, WalkingHost::signed_text(next, web1.web2)); // any other key
  CHECK(web1.recorded("no trusted key"));
  web1.force(9, web1.signed_text(web1.order(2, "1.5.0"))); // what was signed once
  CHECK(web1.recorded("serial 2 of this order is not newer than 3"));
  web1.force(9, web1.signed_text(web1.order(3, "1.6.0")));
  CHECK(web1.recorded("serial 3 of this order is not newer than 3"));
  // The signature of an artifact, of another site, is not that of the order's.
  auto other = web1.order(5, Order{.slug = "shop", .version = "3.0.0"});
  other.site = "blog";
  web1.force(9, web1.signed_text(other));
  CHECK(web1.recorded("the signature of the artifact is of another site"));
  // What is signed as an artifact is no order.
  auto both = must(control::parse_signed_order(web1.signed_text(next)));
  both.signature = next.signature;
  web1.force(9, control::signed_order_text(both));
  CHECK(eventually([&] { return must(web1.store().audit_entries(100)).size() > 6; }));
  CHECK(web1.version() == "2.0.0");
  CHECK(must(web1.store().jobs("blog", 100)).size() == jobs);
}

TEST_CASE("[attack-G43] a report counts only if that host signed it, of this order: no forged failure rolls a fleet back") {
  WalkingHost web1;
  const auto order = web1.walks_to(HostTurn::done, goes_back);
  const std::string key = daemon::reports_key(order);
  const auto forged = [&](const std::string& text, std::string_view why) {
    web1.fleet.put(key + "web2", text);
    CHECK(web1.recorded(why));
    CHECK(web1.version() == "2.0.0");
  };
  const auto stranger = crypto::MinisignSecretKey::generate();
  forged(R"({"report":"{}","signature":""})", "report web2: ");
  forged(
      WalkingHost::report_text(order, "web2", HostTurn::failed, 1, stranger), "report of 'web2'");
  // web3's own word, in the place of web2's; what web2 signed for another purpose.
  forged(
      WalkingHost::report_text(order, "web3", HostTurn::failed, 1, web1.web3), "report of 'web2'");
  forged(WalkingHost::report_text(order, "web2", HostTurn::failed, 1, web1.web2, "chillbox data"),
      "signed for another purpose");
  auto before = order;
  before.serial = 7; // of another order
  forged(WalkingHost::report_text(before, "web2", HostTurn::failed, 1, web1.web2),
      "it is of another host or another order");
  CHECK(web1.mine(order).state == HostTurn::done);
  web1.say(order, "web2", HostTurn::failed); // and what is good counts
  REQUIRE(web1.becomes(order, HostTurn::rolled_back));
}

TEST_CASE("[attack-G44] a deployer of another site orders nothing of this one") {
  WalkingHost web1;
  const auto kim = crypto::MinisignSecretKey::generate();
  web1.write(web1.paths.trusted() + "/kim.pub", cat(kim.public_key().to_file(), "sites: shop\n"));
  const auto order = web1.order(1, "2.0.0");
  const auto taken = web1.all->take(site(), WalkingHost::signed_text(order, kim));
  CHECK(taken.error().code == Code::denied);
  CHECK(taken.error().message == "order: key 'kim' may sign for shop, not for 'blog'");
  web1.force(1, WalkingHost::signed_text(order, kim)); // around every host
  CHECK(web1.recorded("key 'kim' may sign for shop, not for 'blog'"));
  CHECK(web1.version() == "1.0.0");
}

TEST_CASE("[attack-G46] a host that is out of the roster takes no order, and is in none") {
  WalkingHost web1;
  auto order = web1.order(1, "2.0.0");
  order.batches = {{{"web1", "web9"}}};
  CHECK(web1.all->take(site(), web1.signed_text(order)).error().message ==
      "order for host 'web9', which fleet 'shop' does not have: chillboxctl fleet status");
  order = web1.order(1, "2.0.1");
  order.fleet = "other";
  CHECK(web1.all->take(site(), web1.signed_text(order)).error().code == Code::denied);
  std::erase_if(web1.roster.hosts, [](const auto& host) { return host.name == "web1"; });
  web1.take_roster();
  order = web1.order(1, "2.0.2");
  order.batches = {{{"web2"}}};
  CHECK(web1.all->take(site(), web1.signed_text(order)).error().message ==
      "fleet 'shop': this host was removed from it");
  web1.force(1, web1.signed_text(order));
  CHECK(web1.recorded("this host was removed from it"));
  CHECK(web1.version() == "1.0.0");
}

TEST_CASE("[attack-G47] the engine is wiped, forged or of last week: what is live stays") {
  WalkingHost web1;
  const auto order = web1.walks_to(HostTurn::done, goes_back);
  web1.say(order, "web2", HostTurn::done);
  web1.say(order, "web3", HostTurn::done);
  REQUIRE(web1.ends(1));
  for (const auto& key : {std::string("orders/blog"), daemon::reports_key(order) + "web1",
           daemon::reports_key(order) + "web2", daemon::reports_key(order) + "web3"})
    web1.fleet.remove(key);
  web1.say(order, "web3", HostTurn::staged); // as it was before
  web1.clock.move(os::Millis{7'200'000});
  web1.restart_all();
  web1.unlock();
  std::this_thread::sleep_for(os::Millis{200});
  CHECK(web1.version() == "2.0.0");
}

TEST_CASE("[fault-886] the file of what was ordered is damaged: nothing is taken, and it is said") {
  WalkingHost web1;
  const auto order = web1.walks_to(HostTurn::done);
  web1.end_walks();
  web1.write(web1.paths.rollouts() + "/blog.json", "{");
  CHECK(web1.all->take(site(), web1.signed_text(web1.order(2, "3.0.0"))).error().code ==
      Code::corrupt);
}

TEST_CASE("[attack-G45] who may ask the host brings only what a deployer signed, and only that goes into the engine") {
  WalkingHost web1;
  const auto stranger = crypto::MinisignSecretKey::generate();
  const auto order = web1.order(1, "2.0.0");
  CHECK(web1.all->take(site(), WalkingHost::signed_text(order, stranger)).error().code ==
      Code::denied);
  auto both = must(control::parse_signed_order(web1.signed_text(order)));
  both.order.replace(both.order.find("web3"), 4, "web2");
  CHECK(!web1.all->take(site(), control::signed_order_text(both)));
  // Of one site, in the name of another.
  CHECK(web1.all->take(site("shop"), web1.signed_text(order)).error().code == Code::denied);
  auto late = order;
  late.deadline_ms = web1.clock.wall_ms();
  CHECK(web1.all->take(site(), web1.signed_text(late)).error().message ==
      "order: its deadline has passed");
  CHECK(web1.fleet.text("orders/blog").empty());
  CHECK(web1.rows().empty());
}
