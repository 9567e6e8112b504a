// Crontabs of sites by a clock that the tests move; the tasks are this program again.
#include "daemon/control_host.hpp"
#include "daemon/walking_host.hpp"
#include "store/faulty_vfs.hpp"
#include "store/notices.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;

namespace {

struct CronHost : ControlHost {
  CronHost() { unlock(); }
  void live(const std::string& version, const std::string& entries) {
    REQUIRE(deploy(Order{.version = version, .members = cat("\"crontab\":", entries, ",")}).state ==
        JobState::done);
    crontab->tick();
  }
  void pass(std::chrono::minutes time) {
    clock.move(time);
    crontab->tick();
  }
  std::vector<store::CronRun> runs() {
    return must(store().runs(site(), control::RunKind::cron, 50));
  } // newest first
  bool ended(size_t count) {
    return eventually([&] {
      crontab->tick();
      const auto all = runs();
      return all.size() == count &&
          std::ranges::none_of(all, [](const auto& run) { return run.ended_ms == 0; });
    });
  }
};

struct Database { // before the store is opened
  store::FaultyVfs database;
};
struct FullHost : Database, CronHost {};

void give_fleet(CronHost& host, MemoryEngine& fleet) {
  host.context().fleet = &fleet;
  control::Roster roster{.fleet = "shop", .epoch = 1, .hosts = {}};
  roster.hosts = {{"web1", "10.0.0.1", host.identity.recipient(), {}, ""}};
  give_roster(host, roster);
}

} // namespace

TEST_CASE("an entry runs when its time has come, once, and its end is recorded") {
  CronHost host;
  host.live("1.0.0", R"(["*/10 * * * * echo at $SERVER_NAME; exit 3", "0 0 1 1 * true"])");
  host.pass(std::chrono::minutes(10));
  REQUIRE(host.ended(1));
  const auto run = host.runs()[0];
  CHECK(run.state == store::CronState::failed);
  CHECK(run.code == 3);
  CHECK(run.text == "at blog.example");
  CHECK(run.actor.empty());
  CHECK(run.release == "1.0.0-1");
  host.pass(std::chrono::minutes(1));
  CHECK(host.runs().size() == 1);
}

TEST_CASE("an entry that still runs is skipped, and counted for as long as that is so") {
  CronHost host;
  host.live("1.0.0", R"(["*/10 * * * * while [ ! -e go ]; do sleep 0.01; done"])");
  for (int i = 0; i < 3; ++i)
    host.pass(std::chrono::minutes(10));
  auto runs = host.runs();
  REQUIRE(runs.size() == 2);
  CHECK(runs[0].state == store::CronState::skipped);
  CHECK(runs[0].count == 2);
  CHECK(runs[0].text == "run 1 of this entry has not ended");
  CHECK(runs[1].state == store::CronState::running);
  host.write(cat(host.paths.releases(site()), "/1.0.0-1/go"), "");
  CHECK(host.ended(2));
}

TEST_CASE("an entry that was claimed while its site was stopped, or went to another release, is lost and does not run") {
  test::Door door;
  MemoryEngine fleet;
  CronHost host;
  give_fleet(host, fleet);
  host.claim = [&] {
    door.stand();
    return cron::Claim{true, "blog/cron/one", 7};
  };
  host.live("1.0.0", R"(["*/10 * * * * echo $$CHILLBOX_RUN $$CHILLBOX_FENCE"],
    "run_on":{"crontab":"once"})");
  host.pass(std::chrono::minutes(10));
  REQUIRE(door.wait_for_somebody());
  std::string why;
  SECTION("neither") {}
  SECTION("stopped") {
    REQUIRE(host.run(host.queue(store::JobKind::stop)).state == JobState::done);
    why = "site 'blog' is stopped: `chillboxctl start blog`";
  }
  SECTION("another release") {
    REQUIRE(host.deploy("2.0.0").state == JobState::done);
    why = "release 2.0.0-2 went live";
  }
  door.open();
  REQUIRE(host.ended(1));
  const auto run = host.runs()[0];
  CHECK(run.state == (why.empty() ? store::CronState::done : store::CronState::lost));
  CHECK(run.text ==
      (why.empty() ? "blog/cron/one 7"
                   : cat("it did not begin after this host had claimed it: ", why)));
}

TEST_CASE("what runs once and still runs here is not claimed here, so that another host may") {
  MemoryEngine fleet;
  CronHost host;
  give_fleet(host, fleet);
  std::atomic<int> claims = 0;
  host.claim = [&] { return cron::Claim{true, "blog/cron/one", static_cast<uint64_t>(++claims)}; };
  host.live("1.0.0", R"(["*/10 * * * * while [ ! -e go ]; do sleep 0.01; done"],
    "run_on":{"crontab":"once"})");
  host.pass(std::chrono::minutes(10));
  REQUIRE(eventually([&] { return claims == 1; }));
  host.pass(std::chrono::minutes(10));
  REQUIRE(eventually([&] { return host.runs().size() == 2; }));
  CHECK(host.runs()[0].text == "run 1 of this entry has not ended");
  host.write(cat(host.paths.releases(site()), "/1.0.0-1/go"), "");
  CHECK(host.ended(2));
  CHECK(claims == 1);
}

TEST_CASE("the entries are those of the live release, from the switch on, and none of a stopped site") {
  CronHost host;
  host.live("1.0.0", R"(["*/10 * * * * echo old", "*/10 * * * * echo both"])");
  host.clock.move(std::chrono::minutes(9));
  host.live("2.0.0", R"(["*/10 * * * * echo both"])");
  host.pass(std::chrono::minutes(1));
  REQUIRE(host.ended(1));
  CHECK(host.runs()[0].text == "both");
  CHECK(host.runs()[0].release == "2.0.0-2");
  REQUIRE(host.rollback().state == JobState::done);
  host.crontab->tick(); // this clock's monotonic one runs ahead while jobs run: as if the wall
                        // clock were set
  host.pass(std::chrono::minutes(10));
  CHECK(host.ended(3));
  REQUIRE(host.run(host.queue(store::JobKind::stop)).state == JobState::done);
  host.pass(std::chrono::minutes(10));
  CHECK(host.runs().size() == 3);
}

TEST_CASE("[fault-1019] that an entry failed has ended once its line is not in force: by a release, a stop or a removal") {
  CronHost host;
  const std::string fails = R"(["*/10 * * * * exit 3"])";
  const auto open = [&] {
    return must(store::Notices(host.store()).is_open("cron.failed", site()));
  };
  size_t runs = 0;
  const auto fail_once = [&] {
    host.pass(std::chrono::minutes(10));
    REQUIRE(host.ended(++runs));
    REQUIRE(open());
  };
  host.live("1.0.0", fails);
  fail_once();
  host.live("2.0.0", R"(["*/10 * * * * exit 3", "0 0 1 1 * true"])");
  CHECK(open());
  host.live("3.0.0", R"(["0 0 1 1 * exit 3"])");
  CHECK_FALSE(open());
  host.live("4.0.0", fails);
  fail_once();
  REQUIRE(host.run(host.queue(store::JobKind::stop)).state == JobState::done);
  host.crontab->tick();
  CHECK_FALSE(open());
  REQUIRE(host.run(host.queue(store::JobKind::start)).state == JobState::done);
  host.crontab->tick();
  fail_once();
  REQUIRE(host.run(host.queue(store::JobKind::remove)).state == JobState::done);
  CHECK_FALSE(open());
}

TEST_CASE("behind an orderly restart what was due meanwhile runs once; behind a long one it does not") {
  CronHost host;
  host.live("1.0.0", R"(["30 * * * * echo late"])");
  REQUIRE(host.clock.wall() / 60 % 60 < 15);
  host.crontab->begin();
  host.op.reset();
  host.crontab.reset();
  SECTION("short") {
    host.clock.move(std::chrono::minutes(45));
    host.open();
    host.crontab->begin();
    CHECK(eventually(
        [&] { return host.runs().size() == 1 && host.runs()[0].state == store::CronState::done; }));
  }
  SECTION("long") {
    host.clock.move(std::chrono::hours(4));
    host.open();
    host.crontab->begin();
    std::this_thread::sleep_for(os::Millis{100});
    CHECK(host.runs().empty());
  }
}

TEST_CASE("a run is under way when the daemon is restarted: the next one sees its end; files of no run go") {
  CronHost host;
  host.live("1.0.0", R"(["0 0 1 1 * while [ ! -e go ]; do sleep 0.01; done; exit 4"])");
  CHECK(host.call("cron_run", {{"site", "blog"}, {"number", 1}, {"wait", false}}).code() == "ok");
  CHECK(host.call("cron_run", {{"site", "blog"}, {"number", 1}}).code() == "busy");
  host.write(host.paths.run() + "/tasks/99.json", "{}");
  host.restart_all();
  host.crontab->begin();
  CHECK(host.runs()[0].state == store::CronState::running);
  CHECK_FALSE(host.disk.exists(host.paths.run() + "/tasks/99.json"));
  host.write(cat(host.paths.releases(site()), "/1.0.0-1/go"), "");
  CHECK(eventually([&] {
    return host.runs()[0].state == store::CronState::failed && host.runs()[0].code == 4;
  }));
}

TEST_CASE("a run whose end a full disk does not take is recorded when there is room [fault-1077]") {
  FullHost host;
  host.live("1.0.0", R"(["0 0 1 1 * exit 4"])");
  CHECK(host.call("cron_run", {{"site", "blog"}, {"number", 1}, {"wait", false}}).code() == "ok");
  host.database.fail_after(0);
  REQUIRE(eventually([&] {
    host.crontab->tick();
    return os::real_disk().exists(host.paths.run() + "/tasks/1.end") &&
        !os::real_disk().exists(host.paths.run() + "/tasks/1.json");
  }));
  CHECK(host.runs()[0].state == store::CronState::running);
  host.database.heal();
  CHECK(host.ended(1));
  CHECK(host.runs()[0].code == 4);
  CHECK_FALSE(os::real_disk().exists(host.paths.run() + "/tasks/1.end"));
}

TEST_CASE("cron list, run and history say what there is, and what is wrong with the question") {
  CronHost host;
  CHECK(host.call("cron_list", {{"site", "blog"}}).code() == "not_found");
  CHECK(host.call("cron_history", {{"site", "blog"}}).code() == "not_found");
  host.live(
      "1.0.0", R"(["0 0 30 2 * true", "0 3 * * * echo $$CHILLBOX_SERVICE in $$PWD as $$USER"])");
  const auto list = host.call("cron_list", {{"site", "blog"}}).json();
  REQUIRE(list["entries"].size() == 2);
  CHECK(list["entries"][0]["next_ms"] == 0);
  CHECK(list["entries"][1]["next_ms"] > host.clock.wall_ms());
  CHECK(list["entries"][1]["last"].is_null());
  host.crontab->begin();
  const auto run = host.call("cron_run", {{"site", "blog"}, {"number", 2}}).json()["run"];
  CHECK(run["state"] == "done");
  CHECK(run["code"] == 0);
  CHECK(run["text"] == cat("app in ", host.paths.releases(site()), "/1.0.0-1 as blog"));
  CHECK(host.call("cron_run", {{"site", "blog"}, {"number", 3}}).message() ==
      "site 'blog' has no entry 3: its entries are 1 to 2");
  CHECK(host.call("cron_history", {{"site", "blog"}}).json()["runs"].size() == 1);
  const auto audit = must(host.store().audit_entries(5));
  CHECK(std::ranges::any_of(audit, [](const auto& entry) {
    return entry.verb == "cron_run" && entry.site == "blog" && entry.outcome == "ok";
  }));
}

TEST_CASE("a site file that cannot be read for a moment is read again") {
  CronHost host;
  REQUIRE(host.deploy(Order{.version = "1.0.0", .members = R"("crontab":["* * * * * echo app"],)"})
              .state == JobState::done);
  const std::string file = cat(host.paths.releases(site()), "/1.0.0-1/blog.site.json");
  std::filesystem::rename(file, file + ".away");
  host.pass(std::chrono::minutes(1));
  CHECK(host.runs().empty());
  std::filesystem::rename(file + ".away", file);
  host.crontab->tick();
  host.pass(std::chrono::minutes(1));
  CHECK(host.ended(1));
}

TEST_CASE("maintenance is a flag and a page beside the releases, shown by status and in the audit trail; the page keeps its words [fault-1122]") {
  CronHost host;
  CHECK(host.call("maintenance_on", {{"site", "blog"}}).code() == "not_found");
  host.live("1.0.0", "[]");
  CHECK(host.call("maintenance_on", {{"site", "blog"}, {"message", "<b>back</b> at 5 & \"6\""}})
            .code() == "ok");
  const std::string page = nginx::maintenance_flag(host.paths, site()) + ".html";
  CHECK(host.text(page).find("<p>&lt;b&gt;back&lt;/b&gt; at 5 &amp; &quot;6&quot;</p>") !=
      std::string::npos);
  auto one = host.call("status").json()["sites"][0];
  CHECK(one["maintenance"] == true);
  CHECK(one["state"] == "live");
  CHECK(one["waiting"].get<std::string>().find("maintenance off blog") != std::string::npos);
  CHECK(
      host.call("maintenance_on", {{"site", "blog"}, {"message", std::string(2001, 'x')}}).code() ==
      "too_large");
  CHECK(host.call("maintenance_on", {{"site", "blog"}}).json()["was"] == true); // with its words
  CHECK(host.text(page).find("at 5 &amp; &quot;6&quot;") != std::string::npos);
  CHECK(host.call("maintenance_on", {{"site", "blog"}, {"message", ""}}).json()["was"] == false);
  CHECK(host.text(page).find("at 5") == std::string::npos);
  CHECK(host.call("maintenance_on", {{"site", "blog"}}).json()["was"] == true);
  CHECK(host.call("maintenance_off", {{"site", "blog"}}).json()["was"] == true);
  CHECK(host.call("maintenance_off", {{"site", "blog"}}).json()["was"] == false);
  CHECK(host.call("status").json()["sites"][0]["maintenance"] == false);
  CHECK(must(host.store().audit_entries(1))[0].verb == "maintenance_off");
}

TEST_CASE("a site whose own template does not bring the page is told so") {
  CronHost host;
  const std::string text = cat("server { root ", host.paths.root, "/srv/blog/root; }\n");
  REQUIRE(host.deploy(Order{.files = {{"app/app.py", "x"},
                                {"nginx/templates/blog.nginx.conf.template", text}}})
              .state == JobState::done);
  const auto called = host.call("maintenance_on", {{"site", "blog"}});
  CHECK(called.code() == "conflict");
  CHECK(called.message().find("include blog.ssl_cert.include") != std::string::npos);
}
