// An operator stops a site, starts it again, removes it.
#include "rollout/host.hpp"

#include "secrets/load.hpp"
#include "store/notices.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobKind;
using store::JobState;

TEST_CASE("a stopped site has no process and stays so over a start of the daemon, until it is started [fault-1255]") {
  LiveHost host;
  const auto job = host.run(host.queue(JobKind::stop));
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(job.message == "stopped; `chillboxctl start blog` brings it back");
  CHECK(host.row().stopped);
  CHECK(host.ask() == "nobody");
  host.restart();
  must(rollout::bring_up(host.context(), site(), false));
  CHECK(host.ask() == "nobody");
  CHECK(host.run(host.queue(JobKind::start)).state == JobState::done);
  CHECK_FALSE(host.row().stopped);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("a deploy to a stopped site starts it, for good") {
  LiveHost host;
  REQUIRE(host.run(host.queue(JobKind::stop)).state == JobState::done);
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  CHECK_FALSE(host.row().stopped);
  host.restart();
  must(rollout::bring_up(host.context(), site(), false));
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("[fault-1011] a deploy of what is live already starts a stopped site, or says why it does not") {
  LiveHost host;
  REQUIRE(host.run(host.queue(JobKind::stop)).state == JobState::done);
  const Sent live{.sha256 = host.live().sha256, .size = 1, .file = "", .signature = ""};
  const auto again = [&] { return host.run(host.queue(JobKind::deploy, "blog", "1.0.0", live)); };
  host.runner.app("1.0.0").status = 500;
  const auto sick = again();
  CHECK(sick.code == Code::unhealthy);
  CHECK(sick.message.ends_with("; 1.0.0 stays stopped"));
  CHECK(host.row().stopped);
  CHECK(host.ask() == "nobody");
  host.runner.app("1.0.0").status = 200;
  const auto job = again();
  CHECK(job.state == JobState::done);
  CHECK(
      job.message == "already live: 1.0.0 (release 1.0.0-1); the site was stopped, and is started");
  CHECK_FALSE(host.row().stopped);
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(again().message == "already live: 1.0.0 (release 1.0.0-1)");
}

TEST_CASE("[fault-1010] a start, a deploy or a rollback of a stopped site that fails leaves it stopped, and says so") {
  LiveHost host;
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  REQUIRE(host.run(host.queue(JobKind::stop)).state == JobState::done);
  const auto is_stopped = [&](const store::Job& job) {
    INFO(job.message);
    CHECK(job.state == JobState::failed);
    CHECK(job.message.ends_with("; 2.0.0 stays stopped"));
    CHECK(host.row().stopped);
    CHECK(host.row().live == "2.0.0-2");
    CHECK(host.context().slots.all().empty());
  };
  host.runner.app("2.0.0").status = 500;
  is_stopped(host.run(host.queue(JobKind::start)));
  host.runner.app("1.0.0").status = 500;
  is_stopped(host.rollback());
  host.runner.app("3.0.0").build_error = "no";
  is_stopped(host.deploy("3.0.0"));
  host.runner.app("4.0.0").respawns = 1; // in its watch
  const auto back = host.deploy("4.0.0");
  CHECK(back.code == Code::rolled_back);
  is_stopped(back);
}

TEST_CASE("secrets of a stopped site are staged and start nothing") {
  LiveHost host;
  REQUIRE(host.secrets({{"app/app.cfg", "one"}}).state == JobState::done);
  const std::string services = R"([{"name":"app","lang":"python","secrets_config":"app.cfg"}])";
  REQUIRE(host.deploy(Order{.version = "2.0.0", .services = services}).state == JobState::done);
  REQUIRE(host.run(host.queue(JobKind::stop)).state == JobState::done);
  host.runner.forget();
  const auto job = host.secrets({{"app/app.cfg", "two"}});
  CHECK(job.state == JobState::done);
  CHECK(job.message == "staged; the site is stopped");
  CHECK(host.runner.count("start ") == 0);
}

TEST_CASE("a start on a sealed host starts what needs no secrets and says what waits") {
  Host host;
  host.unlock();
  REQUIRE(host.secrets({{"api/api.cfg", "one"}}).state == JobState::done);
  REQUIRE(
      host
          .deploy(Order{
              .services =
                  R"([{"name":"app","lang":"python"},{"name":"api","lang":"python","secrets_config":"api.cfg"}])",
              .files = {{"app/app.py", ""}, {"api/api.py", ""}}})
          .state == JobState::done);
  REQUIRE(host.run(host.queue(JobKind::stop)).state == JobState::done);
  host.reboot();
  const auto job = host.run(host.queue(JobKind::start));
  INFO(job.message);
  CHECK(job.state == JobState::done);
  CHECK(job.message.find("api/api.cfg") != std::string::npos);
  CHECK(host.ask() == "1.0.0");
  CHECK(host.ask("blog", "api") == "nobody");
  CHECK(host.disk.exists(host.paths.run() + "/sealed/blog"));
}

TEST_CASE("one service of a site is stopped, the others go on, and a start brings it back") {
  Host host;
  host.unlock();
  REQUIRE(
      host.deploy(Order{.services =
                            R"([{"name":"app","lang":"python"},{"name":"api","lang":"python"}])",
                      .files = {{"app/app.py", ""}, {"api/api.py", ""}}})
          .state == JobState::done);
  auto stop = host.queue(JobKind::stop, "blog", "", {}, "api");
  CHECK(host.run(stop).state == JobState::done);
  CHECK(host.ask() == "1.0.0");
  CHECK(host.ask("blog", "api") == "nobody");
  CHECK_FALSE(host.row().stopped);
  CHECK(host.run(host.queue(JobKind::stop, "blog", "", {}, "nothing")).code == Code::not_found);
  CHECK(host.run(host.queue(JobKind::start)).state == JobState::done);
  CHECK(host.ask("blog", "api") == "1.0.0");
}

TEST_CASE("stop and start of a site that has no release are not found") {
  Host host;
  CHECK(host.run(host.queue(JobKind::stop, "nosite")).code == Code::not_found);
  CHECK(host.run(host.queue(JobKind::start, "nosite")).code == Code::not_found);
}

TEST_CASE("a removed site leaves its data and its freshness, and nothing that runs or serves") {
  LiveHost host;
  REQUIRE(host.secrets({{"app/app.cfg", "one"}}).state == JobState::done);
  host.write(host.paths.data(site()) + "/app/keep.db", "rows");
  const auto job = host.run(host.queue(JobKind::remove));
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(job.message.starts_with("removed; its data stays in "));
  CHECK(job.message.ends_with(", its secrets are deleted"));
  CHECK(host.text(host.paths.data(site()) + "/app/keep.db") == "rows");
  CHECK(must(host.store().site(site())) == std::nullopt);
  CHECK(must(host.store().serial(site(), "site")) ==
      1); // an old artifact is still old when the site comes back
  CHECK(host.nginx_text().empty());
  CHECK(host.runner.count("nginx -s reload") == 1);
  CHECK(host.context().slots.all().empty());
  CHECK(must(host.disk.list(host.paths.artifacts())).empty());
  CHECK(must(host.disk.list(host.paths.secret_sets())).empty());
  CHECK(secrets::loaded_files(host.paths, site()).empty());
  CHECK_FALSE(host.disk.exists(host.paths.site(site())));
  CHECK_FALSE(host.disk.exists(host.paths.live(site())));
}

TEST_CASE("a purged site leaves no data either") {
  LiveHost host;
  host.options.purge = true;
  const auto job = host.run(host.queue(JobKind::remove));
  CHECK(job.message == "removed with its data");
  CHECK_FALSE(host.disk.exists(host.paths.data(site())));
  CHECK_FALSE(host.disk.exists(host.paths.logs_of(site())));
}

TEST_CASE("another site is untouched by a removal, also one whose name begins alike") {
  LiveHost host;
  REQUIRE(host.secrets({{"app/app.cfg", "theirs"}}, "blog-two").state == JobState::done);
  REQUIRE(host.deploy(Order{.slug = "blog-two"}).state == JobState::done);
  REQUIRE(host.run(host.queue(JobKind::remove)).state == JobState::done);
  CHECK(disagreement(host, "1.0.0", "blog-two") == "");
  CHECK(host.text(host.paths.secrets_of(site("blog-two")) + "/app/app.cfg") == "theirs");
  CHECK(must(host.disk.list(host.paths.secret_sets())).size() == 1);
}

TEST_CASE("a removed site can be deployed again, its host names are free for others") {
  LiveHost host;
  REQUIRE(host.run(host.queue(JobKind::remove)).state == JobState::done);
  CHECK(host.deploy(Order{.slug = "shop", .domain = "blog.example"}).state == JobState::done);
  CHECK(host.deploy("2.0.0").code == Code::preflight);
  CHECK(host.deploy(Order{.version = "2.0.1", .domain = "other.example"}).state == JobState::done);
  CHECK(disagreement(host, "2.0.1") == "");
}

TEST_CASE("[fault-1014] a removal whose reload failed reloads when it is tried again") {
  LiveHost host;
  host.runner.nginx_is_deaf = true;
  REQUIRE(host.run(host.queue(JobKind::remove)).state == JobState::failed);
  host.runner.nginx_is_deaf = false;
  host.runner.forget();
  CHECK(host.run(host.queue(JobKind::remove)).state == JobState::done);
  CHECK(host.runner.count("nginx") > 0);
}

TEST_CASE("[fault-1019] a site whose first deploys all failed can be removed, which ends the notice of that") {
  Host host;
  host.unlock();
  host.runner.nginx_error = "no";
  REQUIRE(host.deploy("1.0.0").state == JobState::failed);
  store::Notices notices(host.store());
  REQUIRE(must(notices.is_open(store::k_deploy_failed, site())));
  CHECK(host.run(host.queue(JobKind::remove)).state == JobState::done);
  CHECK_FALSE(must(notices.is_open(store::k_deploy_failed, site())));
  CHECK(host.run(host.queue(JobKind::remove)).code == Code::not_found);
}

TEST_CASE("a removal of a site that is not there is not found") {
  Host host;
  CHECK(host.run(host.queue(JobKind::remove, "nosite")).code == Code::not_found);
}
