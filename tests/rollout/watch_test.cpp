// Behind the switch: a release that does not hold goes back by itself.
#include "nginx/counts.hpp"
#include "rollout/host.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;
using store::ReleaseState;

namespace {

void rolled_back(LiveHost& host, const store::Job& job, const std::string& part) {
  INFO(job.message);
  CHECK(job.state == JobState::failed);
  CHECK(job.code == Code::rolled_back);
  CHECK(exit_code(*job.code) == 10);
  CHECK(job.message.find(part) != std::string::npos);
  CHECK(job.message.ends_with("; 1.0.0 is live again"));
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(host.release(job.release).state == ReleaseState::failed);
  CHECK(host.row().previous_good.empty()); // never back to what did not hold
}

std::string answers(int good, int bad, int64_t ms) {
  std::string text;
  for (int i = 0; i < good + bad; ++i) {
    const std::string_view code = i < good ? "200" : "500";
    text += cat(ms / 1000, ".", std::to_string(1000 + ms % 1000).substr(1), "|", code,
        "|0.000|1|1|-|1|unix:/app.sock|0.000|", code, "\n");
  }
  return text;
}

// Who asked before the switch, and who is going to ask once the watch has begun. Both are written
// down now, because nobody reads it before.
struct Visitors {
  Visitors(LiveHost& host, std::pair<int, int> before, std::pair<int, int> since) {
    const int64_t now = host.clock.wall_ms();
    std::filesystem::create_directories(nginx::counts_dir(host.paths));
    host.write(nginx::counts_log(host.paths, site()),
        answers(before.first, before.second, now - 1) +
            answers(since.first, since.second, now + 50'000));
  }
};

Order watched(const std::string& version) {
  return {.version = version, .members = R"("watch":"20s",)"};
}

} // namespace

TEST_CASE("[fault-104] a release that crashes in its watch is rolled back by itself, the old slot never stopped") {
  LiveHost host;
  host.runner.app("2.0.0").respawns = 1;
  rolled_back(host, host.deploy("2.0.0"), "watch: service 'app' crashed");
  CHECK(host.runner.count("start chillbox.blog.app.a") == 0);
  CHECK(host.runner.count("stop chillbox.blog.app.a") == 0);
  CHECK(host.runner.ran("stop chillbox.blog.app.b"));
}

TEST_CASE("[fault-1292] a copy that leaves processes in the background when it crashes in its watch is said to do so, unless it says an error") {
  for (const bool says : {false, true}) {
    LiveHost host;
    host.runner.app("2.0.0").respawns = 1;
    if (says)
      host.runner.app("2.0.0").says = "ModuleNotFoundError: No module named 'flask'\n";
    const std::string group = host.paths.root + "/sys/fs/cgroup/openrc.chillbox.blog.app.b";
    const std::string pid = "2000000000"; // more than Linux ever gives
    std::filesystem::create_directories(cat(host.paths.root, "/proc/", pid));
    host.write(cat(host.paths.root, "/proc/", pid, "/stat"), pid + " (sleep) S 1 7 7 0");
    bool left = false; // once it is live
    host.disk.before_write = [&] {
      if (left || host.live().version != "2.0.0")
        return;
      left = true;
      std::filesystem::create_directories(group);
      host.write(group + "/cgroup.procs", pid + "\n");
    };
    host.runner.before = [&](const std::string& command) {
      if (command.starts_with("stop "))
        std::filesystem::remove_all(group);
    };
    rolled_back(host, host.deploy("2.0.0"),
        says
            ? "service 'app' crashed: ModuleNotFoundError"
            : "service 'app' crashed: it went into the background, and must stay in the foreground");
  }
}

TEST_CASE("[fault-1102] a copy that crashed once before it answered, which its check forgives, is not rolled back for that") {
  LiveHost host;
  host.runner.app("2.0.0").early_respawns = 1;
  const auto job = host.deploy("2.0.0");
  INFO(job.message);
  CHECK(job.state == JobState::done);
  CHECK(host.told(job.id, "; no crash"));
  CHECK(disagreement(host, "2.0.0") == "");
  host.runner.app("3.0.0").early_respawns = 1;
  host.runner.app("3.0.0").respawns = 1;
  CHECK(host.deploy("3.0.0").message.find("watch: service 'app' crashed") != std::string::npos);
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("[fault-1102] the same of a daemon that ends in the watch: another one does not know when the copy crashed") {
  LiveHost host;
  host.runner.app("2.0.0").early_respawns = 1;
  const auto job = host.queue_deploy({.version = "2.0.0"});
  rollout::JobControl control;
  host.changed = [&](const std::string&) {
    if (host.look(job.id).step == "watch")
      control.stop();
  };
  rollout::run_job(host.context(), job.id, control);
  REQUIRE(host.look(job.id).state == JobState::running);
  host.changed = [](const std::string&) {};
  host.restart();
  host.unlock();
  CHECK(host.run(host.look(job.id)).state == JobState::done);
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("[fault-104] a release whose health goes bad in its watch is rolled back") {
  LiveHost host;
  host.changed = [&](const std::string& job) {
    if (host.look(job).step == "watch")
      host.runner.app("2.0.0").status = 503;
  };
  rolled_back(host, host.deploy(Order{.version = "2.0.0", .members = R"("watch":"10m",)"}),
      "3 bad health checks in a row: GET / answered 503");
}

TEST_CASE("[attack-B1] answers of 5xx alone are a warning in the job and in the history, however many they are") {
  LiveHost host;
  const Visitors visitors(host, {1000, 10}, {80, 20000});
  const auto job = host.deploy(watched("2.0.0"));
  CHECK(job.state == JobState::done);
  CHECK(job.message ==
      "2.0.0 is live (release 2.0.0-2, slot b); warning: 20000 of 20080 answers were 5xx since the switch, 10 of 1010 before");
  CHECK(host.told(job.id, "watch info warning: 20000 of 20080 answers"));
  CHECK(host.told(job.id, "20000 of 20080 answers 5xx (10 of 1010 before)"));
  CHECK(host.live().message.starts_with("warning: 20000 of 20080"));
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("[attack-B1] what was as bad before the switch, a few among many and very few are worth no word") {
  const auto [before, since] = GENERATE(std::pair{std::pair{50, 50}, std::pair{31, 69}},
      std::pair{std::pair{0, 0}, std::pair{81, 19}}, std::pair{std::pair{0, 0}, std::pair{0, 19}});
  LiveHost host;
  const Visitors visitors(host, before, since);
  const auto job = host.deploy("2.0.0");
  INFO(job.message);
  CHECK(job.state == JobState::done);
  CHECK(job.message.find("warning") == std::string::npos);
  CHECK(host.told(job.id, cat(since.second, " of ", since.first + since.second, " answers 5xx")));
}

TEST_CASE("[attack-B1] answers of 5xx and a health check that fails with them go back, before it would alone") {
  LiveHost host;
  const Visitors visitors(host, {100, 0}, {80, 20});
  host.changed = [&](const std::string& job) {
    if (host.look(job).step == "watch")
      host.runner.app("2.0.0").status = 503;
  };
  rolled_back(host, host.deploy(Order{.version = "2.0.0", .members = R"("watch":"10m",)"}),
      "the health check of service 'app' fails, and 20 of 100 answers were 5xx since the switch, 0 of 100 before");
}

TEST_CASE("[attack-B1] a release that fails for everybody but its health check goes back, because the old one does not") {
  LiveHost host;
  const Visitors visitors(host, {100, 0}, {0, 20});
  host.changed = [&](const std::string& job) {
    if (host.look(job).step == "watch")
      host.runner.app("2.0.0").page = 500;
  };
  rolled_back(host,
      host.deploy(Order{.version = "2.0.0",
          .services = R"([{"name":"app","lang":"python","health":{"path":"/up","deadline":"2s"}}])",
          .members = R"("watch":"10m",)"}),
      "'/' of service 'app', which answered in 1.0.0, fails, and 20 of 20 answers were 5xx");
}

TEST_CASE("the verdict of a watch stands in the history with its numbers, also when it was bad") {
  LiveHost host;
  auto job = host.deploy("2.0.0");
  CHECK(host.told(job.id, "watch info watched "));
  CHECK(host.told(job.id, " 0 bad; no visitor; no crash"));
  host.runner.app("3.0.0").respawns = 2;
  job = host.deploy("3.0.0");
  CHECK(host.told(job.id, "; no visitor; 2 crashes"));
}

TEST_CASE("a release that nobody watches, as was asked for, stays live whatever it does") {
  LiveHost host;
  host.options.no_watch = true;
  host.runner.app("2.0.0").respawns = 1;
  const auto job = host.deploy("2.0.0");
  INFO(job.message);
  CHECK(job.state == JobState::done);
  CHECK(host.told(job.id, "watch info not watched, as requested"));
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("a rollback by itself brings the NGINX text back too") {
  LiveHost host;
  const std::string before = host.nginx_text();
  host.runner.app("2.0.0").respawns = 1;
  rolled_back(host, host.deploy(Order{.version = "2.0.0", .domain = "www.example"}), "crashed");
  CHECK(host.nginx_text() == before);
  CHECK(host.runner.count("nginx -s reload") == 2);
}

TEST_CASE("a rollback by itself gives the host names back") {
  LiveHost host;
  host.runner.app("2.0.0").respawns = 1;
  rolled_back(host, host.deploy(Order{.version = "2.0.0", .domain = "www.example"}), "crashed");
  CHECK(must(host.store().host_owner("blog.example", site("shop"))) == "blog");
  CHECK(must(host.store().host_owner("www.example", site("shop"))) == std::nullopt);
}

TEST_CASE("a first release that does not hold is unhealthy: there is nothing to roll back to, and nothing stays") {
  Host host;
  host.unlock();
  host.runner.app("1.0.0").respawns = 1;
  const auto job = host.deploy("1.0.0");
  INFO(job.message);
  CHECK(job.code == Code::unhealthy);
  CHECK(host.row().live.empty());
  CHECK(host.nginx_text().empty());
  CHECK(host.releases_on_disk().empty());
  CHECK(host.context().slots.all().empty());
  CHECK(must(host.store().host_owner("blog.example", site("shop"))) == std::nullopt);
}

TEST_CASE("a watch that another job cuts short keeps the old slot warm for it") {
  LiveHost host;
  const auto job = host.queue_deploy({.version = "2.0.0", .members = R"("watch":"60m",)"});
  rollout::JobControl control;
  host.changed = [&](const std::string&) {
    if (host.look(job.id).step == "watch")
      control.cut_watch();
  };
  rollout::run_job(host.context(), job.id, control);
  CHECK(host.look(job.id).state == JobState::done);
  CHECK(host.told(job.id, "watch cut short by another job"));
  CHECK(host.runner.count("stop chillbox.blog.app.a") == 0);
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("a site on TCP is rolled back to the port that its old slot has") {
  Host host;
  host.unlock();
  const std::string services = R"([{"name":"app","lang":"x-port","health":{"deadline":"2s"}}])";
  REQUIRE(host.deploy(Order{.services = services}).state == JobState::done);
  const auto row = host.row();
  host.runner.app("2.0.0").respawns = 1;
  const auto job = host.deploy(Order{.version = "2.0.0", .services = services});
  INFO(job.message);
  CHECK(job.code == Code::rolled_back);
  CHECK(host.live().version == "1.0.0");
  CHECK(host.row().ports.find("\"app.a\":20000") != std::string::npos);
  CHECK(host.nginx_text().find("server 127.0.0.1:20000 ") != std::string::npos);
  CHECK_FALSE(host.disk.exists(host.paths.live(site()) + "/app.b"));
}
