// Behind the switch: a release that does not hold goes back by itself.
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

std::string answers(int good, int bad) {
  std::string text;
  for (int i = 0; i < good + bad; ++i)
    text += cat("10.0.0.1 - - [20/Nov/2026:17:33:34 +0000] \"GET / HTTP/1.1\" ", i < good ? "200" : "502", " 12 \"-\" \"curl\"\n");
  return text;
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

TEST_CASE("[fault-104] a release whose health goes bad in its watch is rolled back") {
  LiveHost host;
  host.changed = [&](const std::string& job) {
    if (host.look(job).step == "watch")
      host.runner.app("2.0.0").status = 503;
  };
  rolled_back(host, host.deploy(Order{.version = "2.0.0", .members = R"("watch":"10m",)"}), "3 bad health checks in a row: GET / answered 503");
}

TEST_CASE("a release with too many 5xx answers since the switch is rolled back") {
  LiveHost host;
  const std::string log = host.paths.root + "/var/log/nginx/blog/access.log";
  host.write(log, answers(0, 1000)); // of the old one: does not count
  host.disk.after_size = [&](const std::string& file) {
    if (file == log)
      std::ofstream(log, std::ios::app) << answers(80, 20);
  };
  rolled_back(host, host.deploy("2.0.0"), "20 of 100 answers were 5xx since the switch");
}

TEST_CASE("a few bad answers among many, or among very few, are no reason to go back") {
  const auto [good, bad] = GENERATE(std::pair{81, 19}, std::pair{0, 19});
  LiveHost host;
  const std::string log = host.paths.root + "/var/log/nginx/blog/access.log";
  host.disk.after_size = [&, good = good, bad = bad](const std::string& file) {
    if (file == log)
      std::ofstream(log, std::ios::app) << answers(good, bad);
  };
  const auto job = host.deploy("2.0.0");
  INFO(job.message);
  CHECK(job.state == JobState::done);
  CHECK(host.told(job.id, cat(bad, " of ", good + bad, " answers 5xx")));
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
  host.options = R"({"no_watch":true})";
  host.runner.app("2.0.0").respawns = 1;
  const auto job = host.deploy("2.0.0");
  INFO(job.message);
  CHECK(job.state == JobState::done);
  CHECK(host.told(job.id, "watch info not watched, as was asked for"));
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
  CHECK(host.world().slots.all().empty());
  CHECK(must(host.store().host_owner("blog.example", site("shop"))) == std::nullopt);
}

TEST_CASE("a watch that another job cuts short keeps the old slot warm for it") {
  LiveHost host;
  const auto job = host.queue_deploy({.version = "2.0.0", .members = R"("watch":"60m",)"});
  rollout::Signals signals;
  host.changed = [&](const std::string&) {
    if (host.look(job.id).step == "watch")
      signals.cut_watch();
  };
  rollout::run_job(host.world(), job.id, signals);
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
}
