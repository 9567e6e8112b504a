// What a job says at its end is so, also when its way back or its record fails.
#include "rollout/engine_host.hpp"

#include "rollout/secret_set.hpp"
#include "rollout/watch.hpp"
#include "store/faulty_vfs.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobKind;
using store::JobState;

namespace {

struct Database { // before the store is opened
  store::FaultyVfs database;
};

// 1.0.0 is live, and the database's disk can be full.
struct FullHost : Database, EngineHost {
  FullHost() {
    unlock();
    REQUIRE(deploy("1.0.0").state == JobState::done);
    runner.forget();
  }
  // From when this step of a job begins.
  void full_in(std::string_view step) {
    changed = [this, step](const std::string& id) {
      if (!m_was_full && look(id).step == step && look(id).version == "2.0.0") {
        m_was_full = true;
        database.fail_after(0);
      }
    };
  }
  bool recorded() { // as the engine's own timer does it
    return eventually([this] {
      engine->expire();
      return !store().has_unwritten_ends();
    });
  }

private:
  std::atomic<bool> m_was_full{false};
};

} // namespace

TEST_CASE("[fault-993] a job whose end a full disk does not take has ended all the same, is recorded when there is room, and does not run again") {
  FullHost host;
  host.full_in("retire");
  const auto job = host.submit(host.queue_deploy({.version = "2.0.0"}));
  REQUIRE(host.becomes(job, JobState::done)); // as who asks is answered
  REQUIRE(host.idle());
  CHECK(host.store().has_unwritten_ends());
  CHECK(host.told(job.id, "retire end 2.0.0 is live"));
  REQUIRE(host.engine->next_deadline());
  host.engine->expire();
  CHECK(host.store().has_unwritten_ends());
  CHECK(host.engine->next_deadline()); // again, later
  host.database.heal();
  REQUIRE(host.recorded());
  host.restart_daemon();
  REQUIRE(host.idle());
  CHECK(host.look(job.id).state == JobState::done);
  CHECK(host.runner.count("build app 2.0.0") == 1);
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("[fault-993] a job that cannot record that it waits does not stay running for ever") {
  FullHost host;
  host.full_in("obtain");
  const auto job =
      host.submit(host.queue(JobKind::deploy, "blog", "2.0.0", Sent{std::string(64, '9'), 1}));
  REQUIRE(host.becomes(job, JobState::failed));
  CHECK(host.look(job.id).code == Code::no_space);
  host.database.heal();
  REQUIRE(host.recorded());
  host.restart_daemon();
  REQUIRE(host.idle());
  CHECK(host.look(job.id).state == JobState::failed);
}

TEST_CASE("[fault-994] a job that was left running by mistake, and that newer ones have overtaken, does nothing again") {
  Host host;
  host.unlock();
  for (const char* version : {"1.0.0", "2.0.0"})
    REQUIRE(host.deploy(version).state == JobState::done);
  auto stuck = host.queue(JobKind::rollback);
  stuck.state = JobState::running;
  stuck.step = "check";
  stuck.release = "1.0.0-1";
  stuck.previous = "2.0.0-2";
  must(host.store().record(
      stuck, {{0, host.clock.wall_ms(), "check", store::EventKind::begin, ""}}));
  host.clock.move(os::Millis{5'000});
  SECTION("a deploy has replaced what it would go back from") {
    REQUIRE(host.deploy("3.0.0").state == JobState::done);
    const auto job = host.run(stuck);
    CHECK(job.state == JobState::cancelled);
    CHECK(job.message.ends_with(" has changed the site since: nothing of it is done again"));
    CHECK(disagreement(host, "3.0.0") == "");
  }
  SECTION("what changed nothing has not overtaken it") {
    REQUIRE(host.rollback("2.0.0").message.starts_with("already live"));
    CHECK(host.run(stuck).state == JobState::done);
    CHECK(disagreement(host, "1.0.0") == "");
  }
  SECTION("one that waited meanwhile, and had just begun again, has not been overtaken") {
    REQUIRE(host.deploy("3.0.0").state == JobState::done);
    stuck.step = "select"; // quietly, without an event
    must(host.store().update_job(stuck));
    CHECK(host.run(stuck).state == JobState::done);
    CHECK(disagreement(host, "2.0.0") == "");
  }
}

TEST_CASE("[fault-995] a job that goes back when a release does not hold in its second watch, and is interrupted, watches it again, with its own secrets") {
  Host host;
  host.unlock();
  const std::string services =
      R"([{"name":"app","lang":"python","secrets_config":"app.cfg","health":{"deadline":"2s"}}])";
  REQUIRE(host.secrets({{"app/app.cfg", "one"}}).state == JobState::done);
  for (const char* version : {"1.0.0", "2.0.0"})
    REQUIRE(host.deploy(Order{.version = version, .services = services}).state == JobState::done);
  const auto second = host.secrets({{"app/app.cfg", "two"}});
  REQUIRE(second.state == JobState::done);
  auto live = host.live();
  live.state = store::ReleaseState::unproven;
  live.message = "warning: unproven: another job ended its watch before its time";
  must(host.store().put_release(live));
  const auto job = must(rollout::order_watch(host.context(), site()));
  REQUIRE(job);
  const std::string pid =
      cat(host.paths.root, "/run/supervise-chillbox.blog.app.", letter(live.slot), ".pid");
  std::filesystem::rename(pid, pid + ".away"); // it has crashed
  host.changed = [&](const std::string& id) {
    if (host.look(id).step == "start")
      throw PowerCut();
  };
  CHECK_THROWS_AS(host.run(*job), PowerCut);
  REQUIRE(must(host.store().secret_set(site()))->sha256 != second.sha256);
  host.changed = [](const std::string&) {};
  SECTION("and it holds now") {
    std::filesystem::rename(pid + ".away", pid);
    CHECK(host.run(*job).message == "2.0.0 is live and good");
    CHECK(host.live().state == store::ReleaseState::good);
    CHECK(must(host.store().secret_set(site()))->sha256 == second.sha256);
    CHECK(host.text(host.paths.secrets_of(site()) + "/app/app.cfg") == "two");
    CHECK(disagreement(host, "2.0.0") == "");
  }
  SECTION("and it still does not") {
    const auto done = host.run(*job);
    CHECK(done.state == JobState::done);
    CHECK(done.message.ends_with("; rolled back to 1.0.0-1"));
    CHECK(host.text(host.paths.secrets_of(site()) + "/app/app.cfg") == "one");
    CHECK(disagreement(host, "1.0.0") == "");
  }
}

TEST_CASE("[fault-999] every change of the disk of a way back in the watch fails once: what the job says of it is so, and somebody answers") {
  int failed = 0;
  for (uint64_t n = 1;; ++n) {
    LiveHost host;
    host.runner.app("2.0.0").respawns = 1;
    bool armed = false;
    host.changed = [&](const std::string& id) {
      if (!armed && host.look(id).step == "watch") {
        armed = true;
        host.disk.forget();
        host.disk.fail_at(n);
      }
    };
    const auto job = host.deploy(Order{.version = "2.0.0", .domain = "www.example"});
    const bool struck = host.disk.struck();
    host.disk.fail_at(0);
    INFO("change " << n << ": " << (struck ? host.disk.changes()[n - 1] : "none") << ": "
                   << job.message);
    CHECK(job.state == JobState::failed);
    if (job.code == Code::rolled_back) {
      CHECK(job.message.ends_with("; 1.0.0 is live again"));
      CHECK(disagreement(host, "1.0.0") == "");
    } else {
      ++failed;
      CHECK(job.code == Code::failure);
      CHECK(job.message.find("; the rollback failed: ") != std::string::npos);
      CHECK(job.message.find("no space left on device") != std::string::npos);
      CHECK((host.ask() == "1.0.0" || host.ask() == "2.0.0"));
      // The next start makes it what the store says.
      host.restart();
      must(rollout::bring_up(host.context(), site(), false));
      CHECK(disagreement(host, host.live().version) == "");
    }
    if (!struck)
      break;
    REQUIRE(n < 50);
  }
  CHECK(failed > 2);
}

TEST_CASE("[fault-999] a release to go back to that cannot be read is no success, and one that does not answer is said to be so") {
  LiveHost host;
  host.runner.app("2.0.0").respawns = 1;
  SECTION("it cannot be read") {
    host.changed = [&](const std::string& id) {
      if (host.look(id).step == "watch")
        host.write(host.paths.releases(site()) + "/1.0.0-1/blog.site.json", "{");
    };
    const auto job = host.deploy("2.0.0");
    CHECK(job.code == Code::failure);
    CHECK(job.message.find("; the rollback failed: cannot read the release to roll back to: ") !=
        std::string::npos);
    CHECK(job.message.ends_with("; 2.0.0 keeps its visitors"));
    CHECK(host.ask() == "2.0.0");
    CHECK(host.live().version == "2.0.0");
  }
  SECTION("it does not answer any more") {
    host.changed = [&](const std::string& id) {
      if (host.look(id).step == "watch")
        host.runner.app("1.0.0").status = 500;
    };
    const auto job = host.deploy("2.0.0");
    CHECK(job.code == Code::rolled_back);
    CHECK(job.message.find("; 1.0.0 is live again, and is not healthy either: ") !=
        std::string::npos);
    CHECK(host.live().version == "1.0.0"); // which was good; the other one was not
  }
}

TEST_CASE("[fault-1000] a way back that a full disk does not record is tried until it is, and only then said") {
  FullHost host;
  host.runner.app("2.0.0").respawns = 1;
  host.full_in("watch");
  const auto job = host.submit(host.queue_deploy({.version = "2.0.0"}));
  REQUIRE(eventually([&] { return host.database.failed(); }));
  CHECK(host.look(job.id).state == JobState::running);
  host.database.heal();
  REQUIRE(host.becomes(job, JobState::failed));
  CHECK(host.look(job.id).code == Code::rolled_back);
  REQUIRE(host.idle());
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("[fault-1001] a cancel in the middle of a switch is too late, and the watch does not spin for it") {
  Host host;
  host.unlock();
  const auto order = [](const std::string& version) {
    return Order{.version = version,
        .services = R"([{"name":"app","lang":"x-port","health":{"deadline":"2s"}}])",
        .members = R"("watch":"20s",)"};
  };
  REQUIRE(host.deploy(order("1.0.0")).state == JobState::done);
  const auto job = host.queue_deploy(order("2.0.0"));
  rollout::JobControl control;
  bool asked = false;
  host.disk.before_write = [&] {
    if (host.look(job.id).step == "switch") {
      asked = true;
      control.cancel();
      control.yield();
    }
  };
  rollout::run_job(host.context(), job.id, control);
  CHECK(asked);
  CHECK(host.look(job.id).state == JobState::done);
  CHECK_FALSE(control.cancelled());
  control.cancel();
  CHECK_FALSE(control.cancelled());
  for (const auto& line : host.events(job.id))
    if (const auto at = line.find(" s: ");
        line.starts_with("watch info watched") && at != line.npos)
      CHECK(parse_u64(line.substr(at + 4, line.find(' ', at + 4) - at - 4)).value_or(99) < 5);
  CHECK(host.told(job.id, "watch info watched 2"));
}
