// Several jobs: one site's one after the other, those of different sites side by side.
#include "rollout/engine_host.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;

namespace {

struct BusyHost : EngineHost {
  BusyHost() {
    unlock();
    REQUIRE(deploy("1.0.0").state == JobState::done);
    disk.forget();
    runner.forget();
  }
  // The build of this version stands at the door; it leaves it when its job is cancelled, as a
  // process does.
  void hold_build(const std::string& version) {
    runner.app(version).building = [this](const os::Command& c) {
      std::thread([this, c] {
        while (!door.is_open() && !c.cancelled())
          std::this_thread::sleep_for(os::Millis{1});
        door.open();
      }).detach();
      door.stand();
    };
  }
  // Live, and in its watch.
  store::Job watched(const std::string& version, const std::string& time = "60m") {
    auto job =
        submit(queue_deploy({.version = version, .members = cat("\"watch\":\"", time, "\",")}));
    REQUIRE(eventually([&] { return look(job.id).step == "watch"; }));
    return job;
  }
  void hold_start() { // of any slot
    runner.before = [this](const std::string& command) {
      if (command.starts_with("start "))
        door.stand();
    };
  }
  // Live with a service that must not run twice, and in its watch.
  store::Job watched_pair(const std::string& version, const std::string& time = "60m") {
    auto job = submit(queue_deploy(pair(version, time)));
    REQUIRE(eventually([&] { return look(job.id).step == "watch"; }));
    return job;
  }
  // Its copies are healthy until the watch of the release before has been ended for them.
  store::Job fails_late(const std::string& version) {
    changed = [this, version](const std::string& id) {
      if (look(id).version == version && look(id).step == "stop-first")
        runner.app(version).exits = true;
    };
    auto job = submit(queue_deploy(pair(version, "60m")));
    REQUIRE(becomes(job, JobState::failed));
    changed = [](const std::string&) {};
    return job;
  }
  static Order pair(const std::string& version, const std::string& time) {
    return {.version = version,
        .services = R"([{"name":"app","lang":"python","health":{"deadline":"2s"}},
          {"name":"db","lang":"python","strategy":"stop-first","health":{"deadline":"2s"}}])",
        .members = cat("\"watch\":\"", time, "\","),
        .files = {{"app/app.py", version}, {"db/db.py", version}}};
  }
  // The newest job that the agent ordered itself.
  store::Job watching_again() {
    REQUIRE(eventually([&] { return newest().kind == store::JobKind::watch; }));
    return newest();
  }
  store::Job newest() { return must(store().jobs("blog", 1)).at(0); }
  Door door;
};

} // namespace

TEST_CASE("two sites are deployed side by side") {
  BusyHost host;
  host.hold_build("2.0.0");
  const auto slow = host.submit(host.queue_deploy({.version = "2.0.0"}));
  REQUIRE(host.door.wait_for_somebody());
  const auto other = host.submit(host.queue_deploy({.slug = "shop"}));
  CHECK(host.becomes(other, JobState::done)); // while the first one still builds
  CHECK(host.look(slow.id).state == JobState::running);
  host.door.open();
  CHECK(host.becomes(slow, JobState::done));
  CHECK(disagreement(host, "2.0.0") == "");
  CHECK(disagreement(host, "1.0.0", "shop") == "");
}

TEST_CASE("no more jobs than allowed run at once") {
  BusyHost host;
  host.engine.reset();
  host.config.jobs_max = 1;
  host.restart();
  host.unlock();
  host.start_engine();
  host.hold_build("2.0.0");
  const auto first = host.submit(host.queue_deploy({.version = "2.0.0"}));
  REQUIRE(host.door.wait_for_somebody());
  const auto second = host.submit(host.queue_deploy({.slug = "shop"}));
  CHECK(host.engine->running() == 1);
  CHECK(host.look(second.id).state == JobState::queued);
  host.door.open();
  CHECK(host.becomes(first, JobState::done));
  CHECK(host.becomes(second, JobState::done));
}

namespace {

struct NarrowHost : BusyHost { // one place
  NarrowHost() {
    engine.reset();
    config.jobs_max = 1;
    restart();
    unlock();
    start_engine();
  }
};

} // namespace

TEST_CASE("a site that watches, or waits for its own service, holds up no other site [attack-C5]") {
  NarrowHost host;
  host.runner.app("2.0.0").status = 503; // never well
  const auto waits = host.submit(host.queue_deploy({.version = "2.0.0",
      .services =
          R"([{"name":"app","lang":"python","health":{"deadline":"9h","interval":"50ms"}}])"}));
  REQUIRE(eventually([&] { return host.look(waits.id).step == "check"; }));
  const auto watches =
      host.submit(host.queue_deploy({.slug = "shop", .members = R"("watch":"9h",)"}));
  REQUIRE(eventually([&] { return host.look(watches.id).step == "watch"; }));
  CHECK(host.becomes(host.submit(host.queue_deploy({.slug = "mill"})), JobState::done));
  CHECK(host.look(waits.id).step == "check");
  CHECK(host.look(watches.id).step == "watch");
  host.engine->stop();
}

TEST_CASE("a rollback waits for no deploy of another site [attack-C5]") {
  NarrowHost host;
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  host.hold_build("9.0.0");
  const auto slow = host.submit(host.queue_deploy({.slug = "shop", .version = "9.0.0"}));
  REQUIRE(host.door.wait_for_somebody());
  CHECK(host.becomes(host.submit(host.queue(store::JobKind::rollback)), JobState::done));
  CHECK(host.look(slow.id).state == JobState::running);
  CHECK(disagreement(host, "1.0.0") == "");
  host.door.open();
  CHECK(host.becomes(slow, JobState::done));
}

TEST_CASE("an exception in a step is that job's error, which is undone, and the next one runs [attack-C13]") {
  BusyHost host;
  host.runner.app("2.0.0").building = [](const os::Command&) { throw std::bad_alloc(); };
  const auto job = host.submit(host.queue_deploy({.version = "2.0.0"}));
  REQUIRE(host.becomes(job, JobState::failed));
  CHECK(host.look(job.id).message.find("internal error") != std::string::npos);
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(host.becomes(host.submit(host.queue_deploy({.version = "3.0.0"})), JobState::done));
}

TEST_CASE("[fault-101] jobs of one site run one after the other, in their order") {
  BusyHost host;
  host.hold_build("2.0.0");
  const auto first = host.submit(host.queue_deploy({.version = "2.0.0"}));
  REQUIRE(host.door.wait_for_somebody());
  const auto second = host.submit(host.queue(store::JobKind::restart));
  const auto third = host.submit(host.queue(store::JobKind::stop));
  CHECK(host.look(second.id).state == JobState::queued);
  host.door.open();
  REQUIRE(host.becomes(third, JobState::done));
  CHECK(host.look(first.id).state == JobState::done);
  CHECK(host.look(second.id).state == JobState::done);
  CHECK(host.look(second.id).release == "2.0.0-2");
  CHECK(host.row().stopped);
}

TEST_CASE("[fault-101] the newest of several waiting deploys wins, the others are recorded as superseded") {
  BusyHost host;
  host.hold_build("2.0.0");
  const auto running = host.submit(host.queue_deploy({.version = "2.0.0"}));
  REQUIRE(host.door.wait_for_somebody());
  const auto older = host.submit(host.queue_deploy({.version = "3.0.0"}));
  const auto newest = host.submit(host.queue_deploy({.version = "4.0.0"}));
  host.door.open();
  REQUIRE(host.becomes(newest, JobState::done));
  CHECK(host.look(running.id).state == JobState::done);
  CHECK(host.look(older.id).state == JobState::superseded);
  CHECK(host.look(older.id).message == "superseded by the newer deploy " + newest.id);
  CHECK(host.runner.count("build app 3.0.0") == 0);
  CHECK(disagreement(host, "4.0.0") == "");
}

TEST_CASE("a rollback cancels a queued deploy of its site") {
  BusyHost host;
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  host.hold_build("3.0.0");
  const auto running = host.submit(host.queue_deploy({.version = "3.0.0"}));
  REQUIRE(host.door.wait_for_somebody());
  const auto queued = host.submit(host.queue_deploy({.version = "4.0.0"}));
  const auto back = host.submit(host.queue(store::JobKind::rollback));
  REQUIRE(host.becomes(back, JobState::done));
  CHECK(host.look(queued.id).state == JobState::cancelled);
  CHECK(host.look(running.id).state == JobState::cancelled);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("a rollback cancels a running deploy that has not switched, which leaves nothing") {
  BusyHost host;
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  host.hold_build("3.0.0");
  const auto running = host.submit(host.queue_deploy({.version = "3.0.0"}));
  REQUIRE(host.door.wait_for_somebody());
  const auto back = host.submit(host.queue(store::JobKind::rollback));
  REQUIRE(host.becomes(back, JobState::done));
  const auto cancelled = host.look(running.id);
  CHECK(cancelled.state == JobState::cancelled);
  CHECK(cancelled.code == Code::interrupted);
  CHECK(cancelled.message.ends_with("; 2.0.0 stays live"));
  CHECK(host.runner.count("start chillbox.blog.app.a") == 1); // 1.0.0 again, never 3.0.0
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("a rollback cancels a deploy whose health check takes its time") {
  BusyHost host;
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  host.runner.app("3.0.0").status = 503;
  const auto running = host.submit(host.queue_deploy({.version = "3.0.0",
      .services = R"([{"name":"app","lang":"python","health":{"deadline":"60m"}}])"}));
  REQUIRE(eventually([&] { return host.look(running.id).step == "check"; }));
  const auto back = host.submit(host.queue(store::JobKind::rollback));
  REQUIRE(host.becomes(back, JobState::done));
  CHECK(host.look(running.id).state == JobState::cancelled);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("a rollback lets a restart and new secrets come to their end") {
  BusyHost host;
  const std::string services = R"([{"name":"app","lang":"python","secrets_config":"word"}])";
  REQUIRE(host.secrets({{"app/word", "one"}}).state == JobState::done);
  REQUIRE(host.deploy({.version = "2.0.0", .services = services}).state == JobState::done);
  const auto kind = GENERATE(store::JobKind::restart, store::JobKind::secrets);
  Sent sent;
  if (kind == store::JobKind::secrets)
    host.upload(sent = host.laptop.pack_secrets("blog", {{"app/word", "two"}}));
  host.hold_start();
  const auto running = host.submit(host.queue(kind, "blog", "", sent));
  REQUIRE(host.door.wait_for_somebody());
  const auto back = host.submit(host.queue(store::JobKind::rollback));
  host.door.open();
  REQUIRE(host.becomes(back, JobState::done));
  CHECK(host.look(running.id).state == JobState::done);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("of several rollbacks in a row the newest is done, so that they do not go forward again") {
  BusyHost host;
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  host.hold_start();
  const auto running = host.submit(host.queue(store::JobKind::rollback));
  REQUIRE(host.door.wait_for_somebody());
  const auto queued = host.submit(host.queue(store::JobKind::rollback));
  const auto newest = host.submit(host.queue(store::JobKind::rollback));
  host.door.open();
  REQUIRE(host.becomes(newest, JobState::done));
  CHECK(host.look(running.id).state == JobState::cancelled);
  CHECK(host.look(queued.id).state == JobState::cancelled);
  CHECK(host.look(queued.id).message == "cancelled by the rollback " + newest.id);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("a rollback in the watch cuts it short and finds the old slot warm") {
  BusyHost host;
  const auto running = host.watched("2.0.0");
  host.runner.forget();
  const auto back = host.submit(host.queue(store::JobKind::rollback));
  REQUIRE(host.becomes(back, JobState::done));
  CHECK(host.look(running.id).state == JobState::done);
  CHECK(host.told(running.id, "watch cut short by another job"));
  CHECK(host.look(running.id)
          .message.ends_with("warning: unproven: another job ended its watch before its time"));
  CHECK(host.release("2.0.0-2").state == store::ReleaseState::unproven);
  CHECK(host.told(back.id, "its slot is still warm"));
  CHECK(host.runner.count("start ") == 0);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("what never comes, is refused or does not get well ends no watch [fault-224] [attack-B6]") {
  BusyHost host;
  const auto running = host.watched("2.0.0");
  const auto never = host.submit(
      host.queue(store::JobKind::deploy, "blog", "9.0.0", Sent{std::string(64, '9'), 1}));
  REQUIRE(host.becomes(never, JobState::waiting_upload));
  const auto forged =
      host.submit(host.queue_deploy({.version = "8.0.0", .signed_version = "7.0.0"}));
  REQUIRE(host.becomes(forged, JobState::failed));
  host.runner.app("3.0.0").status = 500;
  const auto sick = host.submit(host.queue_deploy({.version = "3.0.0"}));
  REQUIRE(host.becomes(sick, JobState::failed));
  CHECK(host.look(sick.id).code == Code::unhealthy);
  CHECK(host.becomes(
      host.submit(host.queue(store::JobKind::rollback, "blog", "9.9.9")), JobState::failed));
  CHECK(host.look(running.id).step == "watch");
  CHECK(host.live().state == store::ReleaseState::unproven);
  host.runner.app("2.0.0").status = 500; // it was bad all along
  REQUIRE(host.becomes(running, JobState::failed));
  CHECK(host.look(running.id).code == Code::rolled_back);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("a deploy whose copies are healthy ends the watch of the one before, which is unproven then [fault-225]") {
  BusyHost host;
  const auto first = host.watched("2.0.0");
  const auto second = host.submit(host.queue_deploy({.version = "3.0.0"}));
  REQUIRE(host.becomes(second, JobState::done));
  CHECK(host.look(first.id).state == JobState::done);
  CHECK(host.release("2.0.0-2").state == store::ReleaseState::unproven);
  CHECK(host.live().state == store::ReleaseState::good);
  CHECK(host.row().previous_good == "1.0.0-1"); // not to what nobody saw hold
  CHECK(disagreement(host, "3.0.0") == "");
  const auto back = host.submit(host.queue(store::JobKind::rollback));
  REQUIRE(host.becomes(back, JobState::done));
  CHECK(host.told(back.id,
      "2.0.0 (2.0.0-2) was live after it, but its watch did not end: "
      "`chillboxctl rollback blog 2.0.0-2` goes there"));
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(host.becomes(
      host.submit(host.queue(store::JobKind::rollback, "blog", "2.0.0")), JobState::done));
  CHECK(host.live().state == store::ReleaseState::unproven); // nobody watched it this time either
}

TEST_CASE("a release whose watch was ended by a job that fails then is watched again, and good at its end [fault-357]") {
  BusyHost host;
  const auto first = host.watched_pair("2.0.0", "1m");
  const auto second = host.fails_late("3.0.0");
  CHECK(host.look(first.id).state == JobState::done);
  CHECK(host.told(first.id, "watch cut short by another job"));
  CHECK(host.look(second.id).message.ends_with("; 2.0.0 stays live, which is watched again"));
  const auto again = host.watching_again();
  CHECK(again.actor == "chillboxd");
  REQUIRE(host.becomes(again, JobState::done));
  CHECK(host.look(again.id).message == "2.0.0 is live and good");
  CHECK(host.live().state == store::ReleaseState::good);
  CHECK(host.live().message == "");
  REQUIRE(host.idle());
  CHECK(host.newest().id == again.id); // once is enough
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("a release that does not hold when it is watched again is rolled back to the good one [fault-357]") {
  BusyHost host;
  const auto first = host.watched_pair("2.0.0");
  (void)host.fails_late("3.0.0");
  const auto again = host.watching_again();
  REQUIRE(eventually([&] { return host.look(again.id).step == "watch"; }));
  const auto waits = host.submit(
      host.queue(store::JobKind::deploy, "blog", "9.0.0", Sent{std::string(64, '9'), 1}));
  REQUIRE(host.becomes(waits, JobState::waiting_upload)); // and ends nothing
  host.runner.app("2.0.0").status = 500;
  REQUIRE(host.becomes(again, JobState::done));
  CHECK(host.look(again.id).message.starts_with(
      "2.0.0 (2.0.0-2) failed when it was watched again: service 'app': 3 bad health checks in a row: "));
  CHECK(host.look(again.id).message.ends_with("; rolled back to 1.0.0-1"));
  CHECK(host.release("2.0.0-2").state == store::ReleaseState::failed);
  CHECK(host.look(waits.id).state == JobState::waiting_upload);
  REQUIRE(host.idle());
  CHECK(host.newest().id == waits.id); // nothing more of the agent's own
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("a daemon that ends while a release is watched again does so at its next start, and a stop only puts it off [fault-357]") {
  BusyHost host;
  (void)host.watched_pair("2.0.0", "20s");
  (void)host.fails_late("3.0.0");
  const auto again = host.watching_again();
  REQUIRE(eventually([&] { return host.look(again.id).step == "watch"; }));
  SECTION("the daemon ends") {
    host.restart_daemon();
    REQUIRE(host.becomes(again, JobState::done));
  }
  SECTION("an operator stops the site, and starts it") {
    REQUIRE(host.becomes(host.submit(host.queue(store::JobKind::stop)), JobState::done));
    CHECK(host.look(again.id).state == JobState::done);
    CHECK(host.live().state == store::ReleaseState::unproven);
    REQUIRE(host.becomes(host.submit(host.queue(store::JobKind::start)), JobState::done));
    const auto third = host.watching_again();
    CHECK(third.id != again.id);
    REQUIRE(host.becomes(third, JobState::done));
  }
  CHECK(host.live().state == store::ReleaseState::good);
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("the agent watches nothing again that an operator chose, or wants unwatched [fault-357]") {
  BusyHost host;
  auto job = host.queue_deploy({.version = "2.0.0", .members = "\"watch\":\"60m\","});
  const auto first = host.submit(job);
  REQUIRE(eventually([&] { return host.look(first.id).step == "watch"; }));
  const auto back = host.submit(host.queue(store::JobKind::rollback));
  REQUIRE(host.becomes(back, JobState::done));
  const auto there = host.submit(host.queue(store::JobKind::rollback, "blog", "2.0.0"));
  REQUIRE(host.becomes(there, JobState::done));
  CHECK(host.live().state == store::ReleaseState::unproven);
  REQUIRE(host.idle());
  CHECK(host.newest().id == there.id);
}

TEST_CASE("a watch that goes bad while the next release is checked: rolled back, and the next one goes live after it [fault-226]") {
  BusyHost host;
  const auto first = host.watched("2.0.0");
  host.runner.app("3.0.0").status = 503; // is starting
  const auto second = host.submit(host.queue_deploy({.version = "3.0.0",
      .services = R"([{"name":"app","lang":"python","health":{"deadline":"60m"}}])"}));
  REQUIRE(eventually([&] { return host.look(second.id).step == "check"; }));
  CHECK(host.look(first.id).step == "watch");
  host.runner.app("2.0.0").status = 500;
  REQUIRE(host.becomes(first, JobState::failed));
  CHECK(host.look(first.id).message.ends_with("; 1.0.0 is live again"));
  host.runner.app("3.0.0").status = 200;
  REQUIRE(host.becomes(second, JobState::done));
  CHECK(host.told(second.id, "begins again"));
  CHECK(host.look(second.id).previous == "1.0.0-1");
  CHECK(disagreement(host, "3.0.0") == "");
}

TEST_CASE("a watch that goes bad while the next release is built: what is built starts from what is live then [fault-226]") {
  BusyHost host;
  const auto first = host.watched("2.0.0");
  host.hold_build("3.0.0");
  const auto second = host.submit(host.queue_deploy({.version = "3.0.0"}));
  REQUIRE(host.door.wait_for_somebody());
  host.runner.app("2.0.0").status = 500;
  REQUIRE(host.becomes(first, JobState::failed));
  host.door.open();
  REQUIRE(host.becomes(second, JobState::done));
  CHECK(host.look(second.id).previous == "1.0.0-1");
  CHECK(disagreement(host, "3.0.0") == "");
}

TEST_CASE("a watch that ends well while the next release is built: the old slot stops, the release is good") {
  BusyHost host;
  const auto first = host.watched("2.0.0", "1s");
  host.hold_build("3.0.0");
  const auto second = host.submit(host.queue_deploy({.version = "3.0.0"}));
  REQUIRE(host.door.wait_for_somebody());
  REQUIRE(host.becomes(first, JobState::done));
  CHECK(host.release("2.0.0-2").state == store::ReleaseState::good);
  CHECK(host.runner.ran("stop chillbox.blog.app.a"));
  host.door.open();
  REQUIRE(host.becomes(second, JobState::done));
  CHECK(host.row().previous_good == "2.0.0-2");
  CHECK(disagreement(host, "3.0.0") == "");
}

TEST_CASE("a daemon that ends in a watch with the next release next to it: both continue, one after the other") {
  BusyHost host;
  const auto first = host.watched("2.0.0");
  host.runner.app("3.0.0").status = 503;
  const auto second = host.submit(host.queue_deploy({.version = "3.0.0",
      .services = R"([{"name":"app","lang":"python","health":{"deadline":"60m"}}])"}));
  REQUIRE(eventually([&] { return host.look(second.id).step == "check"; }));
  host.runner.app("3.0.0").status = 200;
  host.restart_daemon();
  REQUIRE(host.becomes(second, JobState::waiting_unlock)); // it begins again, and the vault is gone
  CHECK(host.look(first.id).step == "watch");
  CHECK(disagreement(host, "2.0.0") == "");
  host.unlock();
  host.engine->unlocked(os::Millis{100});
  REQUIRE(host.becomes(second, JobState::done));
  CHECK(host.look(first.id).state == JobState::done);
  CHECK(disagreement(host, "3.0.0") == "");
}

TEST_CASE("[fault-120] the engine stops in the middle and the next start ends the job") {
  BusyHost host;
  host.runner.app("2.0.0").status = 503;
  const auto job = host.submit(host.queue_deploy({.version = "2.0.0",
      .services = R"([{"name":"app","lang":"python","health":{"deadline":"60m"}}])"}));
  REQUIRE(eventually([&] { return host.look(job.id).step == "check"; }));
  host.engine->stop();
  CHECK(host.look(job.id).state == JobState::running); // the journal knows where
  CHECK(host.ask() == "1.0.0");
  host.runner.app("2.0.0").status = 200;
  host.restart_daemon();
  REQUIRE(host.becomes(job, JobState::waiting_unlock)); // it begins again, and the vault is gone
  CHECK(disagreement(host, "1.0.0") == "");
  host.unlock();
  host.engine->unlocked(os::Millis{5'000});
  REQUIRE(host.becomes(job, JobState::done));
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("[fault-120] a start brings every site up, also one whose slots died with the machine") {
  BusyHost host;
  REQUIRE(host.deploy(Order{.slug = "shop"}).state == JobState::done);
  host.engine.reset();
  host.reboot();
  host.start_engine();
  host.engine->recover();
  REQUIRE(host.idle());
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(disagreement(host, "1.0.0", "shop") == "");
}

TEST_CASE("[fault-121] links changed by hand are as the store says after a start") {
  BusyHost host;
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  must(os::real_disk().set_link("releases/1.0.0-1", host.paths.current(site())));
  host.restart_daemon();
  REQUIRE(host.idle());
  CHECK(disagreement(host, "2.0.0") == "");
}
