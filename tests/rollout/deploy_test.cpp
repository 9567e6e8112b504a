// A deploy from beginning to end, and what it leaves.
#include "rollout/host.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;
using store::ReleaseState;

TEST_CASE("a deploy goes live whole: link, current, row and NGINX text") {
  Host host;
  host.unlock();
  const auto job = host.deploy("1.0.0");
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(job.code == std::nullopt);
  CHECK(job.message == "1.0.0 is live (release 1.0.0-1, slot a)");
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(host.nginx_text().find("server_name blog.example;") != std::string::npos);
  CHECK(host.live().serial == 1);
  CHECK(host.live().signer == "anna");
  CHECK(
      host.live().digest == must(host.disk.tree_digest(host.paths.releases(site()) + "/1.0.0-1")));
}

TEST_CASE("the steps of a deploy are told in order, each with its end") {
  Host host;
  host.unlock();
  const auto job = host.deploy("1.0.0");
  std::vector<std::string> begun, done;
  for (const auto& e : must(host.store().events(job.id, 0))) {
    if (e.kind == store::EventKind::begin)
      begun.push_back(e.step);
    if (e.kind == store::EventKind::done)
      done.push_back(e.step);
  }
  CHECK(join(begun, " ") ==
      "obtain verify unseal stage preflight install build start check configure stop-first switch reload watch retire");
  CHECK(done == begun);
  CHECK(host.told(job.id, "signed by 'anna', serial 1"));
  CHECK(host.told(job.id, "retire end 1.0.0 is live"));
}

TEST_CASE("the next deploy goes to the other slot and the old one is stopped behind it") {
  LiveHost host;
  const auto job = host.deploy("2.0.0");
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(disagreement(host, "2.0.0") == "");
  CHECK(host.live().slot == Slot::b);
  CHECK(host.row().previous_good == "1.0.0-1");
  CHECK(job.previous == "1.0.0-1");
  CHECK(host.runner.ran("stop chillbox.blog.app.a"));
  CHECK(host.runner.count("nginx") == 0); // its text is the same: no reload, no lost connection
}

TEST_CASE("a service on TCP is switched by a flag, to and fro, without a reload; a boot sets it again") {
  Host host;
  host.unlock();
  const std::string services = R"([{"name":"app","lang":"x-port","health":{"deadline":"2s"}}])";
  const std::string flag = host.paths.live(site()) + "/app.b";
  REQUIRE(host.deploy(Order{.services = services}).state == JobState::done);
  CHECK_FALSE(host.disk.exists(flag));
  const std::string text = host.nginx_text();
  host.runner.forget();
  const auto job = host.deploy(Order{.version = "2.0.0", .services = services});
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(host.live().slot == Slot::b);
  CHECK(host.disk.exists(flag));
  CHECK(host.runner.count("nginx") == 0);
  host.reboot();
  REQUIRE(rollout::bring_up(host.context(), site(), false));
  CHECK(host.disk.exists(flag));
  REQUIRE(host.rollback().state == JobState::done);
  CHECK_FALSE(host.disk.exists(flag));
  CHECK(host.nginx_text() == text);
}

TEST_CASE("where the text changes as well, the flag of a service on TCP follows the reload") {
  Host host;
  host.unlock();
  const std::string services = R"([{"name":"app","lang":"x-port","health":{"deadline":"2s"}}])";
  const std::string flag = host.paths.live(site()) + "/app.b";
  REQUIRE(host.deploy(Order{.services = services}).state == JobState::done);
  std::vector<bool> at_reload;
  host.runner.before = [&](const std::string& command) {
    if (command == "nginx -s reload")
      at_reload.push_back(host.disk.exists(flag));
  };
  REQUIRE(
      host.deploy(Order{.version = "2.0.0", .domain = "www.example", .services = services}).state ==
      JobState::done);
  CHECK(at_reload == std::vector<bool>{false});
  CHECK(host.disk.exists(flag));
  host.runner.nginx_answers_as = "another"; // so that the step fails after the reload
  CHECK(
      host.deploy(Order{.version = "3.0.0", .domain = "new.example", .services = services}).state ==
      JobState::failed);
  CHECK(host.disk.exists(flag)); // slot b's again
}

TEST_CASE("the old slot runs until the new one has answered") {
  LiveHost host;
  std::vector<std::string> asked;
  host.runner.before = [&](const std::string& command) {
    asked.push_back(cat(command, " while ", host.ask(), " answers"));
  };
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  CHECK(std::ranges::find(asked, "start chillbox.blog.app.b while 1.0.0 answers") != asked.end());
  CHECK(std::ranges::find(asked, "stop chillbox.blog.app.a while 2.0.0 answers") != asked.end());
}

TEST_CASE("the same version again is already live: no command is run and nothing on disk changes") {
  Host host;
  host.unlock();
  const Sent sent = host.laptop.pack({});
  host.upload(sent);
  REQUIRE(
      host.run(host.queue(store::JobKind::deploy, "blog", "1.0.0", sent)).state == JobState::done);
  host.disk.forget();
  host.runner.forget();
  const auto again = host.run(host.queue(store::JobKind::deploy, "blog", "1.0.0", sent));
  CHECK(again.state == JobState::done);
  CHECK(again.code == std::nullopt);
  CHECK(again.message == "already live: 1.0.0 (release 1.0.0-1)");
  CHECK(again.release == "1.0.0-1");
  CHECK(join(host.runner.commands(), ", ") == "");
  CHECK(join(host.disk.changes(), ", ") == "");
}

TEST_CASE("an ended job is not run again") {
  LiveHost host;
  const auto job = host.deploy("2.0.0");
  host.runner.forget();
  CHECK(host.run(job).finished_ms == job.finished_ms);
  CHECK(host.runner.commands().empty());
}

TEST_CASE("a site without a process is deployed too: files only") {
  Host host;
  host.unlock();
  const auto job = host.deploy(Order{.slug = "docs",
      .services = R"([{"name":"pages","lang":"static"}])",
      .files = {{"pages/index.html", "hello"}}});
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(host.runner.count("start") == 0);
  CHECK(host.text(host.paths.current(site("docs")) + "/pages/index.html") == "hello");
  CHECK((std::filesystem::status(host.paths.current(site("docs")) + "/pages/index.html")
                .permissions() &
            std::filesystem::perms::others_read) != std::filesystem::perms::none);
}

TEST_CASE("a build has its service's resources, the default number of processes for what they leave open, and the site's share of them [attack-D15]") {
  LiveHost host;
  std::vector<os::Command> builds;
  host.runner.app("2.0.0").building = [&](const os::Command& c) { builds.push_back(c); };
  const std::string services =
      R"([{"name":"app","lang":"python","resources":{"memory_max":"256M","cpu_max":50,"tasks_max":20}},)"
      R"({"name":"api","lang":"python","resources":{"cpus":"0"}}])";
  const auto job = host.deploy(Order{
      .version = "2.0.0", .services = services, .files = {{"app/app.py", ""}, {"api/app.py", ""}}});
  INFO(job.message);
  REQUIRE(builds.size() == 2);
  CHECK(builds[0].contained == host.context().as_root);
  CHECK(builds[0].limits.memory_max == 256ULL << 20);
  CHECK(builds[0].limits.cpu_max == 50);
  CHECK(builds[0].limits.tasks_max == 20);
  CHECK(builds[1].limits.memory_max == 0);
  CHECK(builds[1].limits.cpus == "0");
  CHECK(builds[1].limits.tasks_max == 512);
  for (const auto& build : builds)
    CHECK(build.limits.user_tasks_max ==
        2 * 512 + 2 * 20 + 2 * 512); // beside the services, then each in both slots
}

TEST_CASE("a release_command runs once, in the new release, before it starts") {
  LiveHost host;
  const auto job = host.deploy(Order{.version = "2.0.0",
      .services = R"([{"name":"app","lang":"python","release_command":"/usr/bin/migrate up"}])"});
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  const auto commands = host.runner.commands();
  const auto at = [&](const std::string& c) {
    return std::ranges::find(commands, c) - commands.begin();
  };
  CHECK(std::ranges::count(commands, "migrate") == 1);
  CHECK(at("build app 2.0.0") < at("migrate"));
  CHECK(at("migrate") < at("start chillbox.blog.app.b"));
  CHECK(host.told(job.id, "release_command of 'app' runs: /usr/bin/migrate up"));
}

TEST_CASE("old releases go, as many as the site keeps stay, and the live one and the one before always") {
  LiveHost host;
  for (const char* version : {"2.0.0", "3.0.0", "4.0.0", "5.0.0"})
    REQUIRE(host.deploy(Order{.version = version, .members = R"("keep_releases":2,)"}).state ==
        JobState::done);
  CHECK(join(host.releases_on_disk(), " ") == "4.0.0-4 5.0.0-5");
  CHECK(host.release("1.0.0-1").state == ReleaseState::removed);
  CHECK(must(host.disk.list(host.paths.artifacts())).size() ==
      4); // two artifacts with their signatures
}

TEST_CASE("[fault-122] a release directory deleted by hand does not stop the next deploy") {
  LiveHost host;
  std::filesystem::remove_all(host.paths.releases(site()) + "/1.0.0-1");
  const auto job = host.deploy("2.0.0");
  INFO(job.message);
  CHECK(job.state == JobState::done);
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("workers start one process each, numbered, beside the service") {
  Host host;
  host.unlock();
  host.handler("python-worker", R"({"listens":"no","build":true})");
  const auto job = host.deploy(Order{
      .members =
          R"("workers":[{"name":"mail","lang":"python-worker","run-cmd":"/bin/send --all","count":2}],)",
      .files = {{"app/app.py", ""}, {"mail/send.py", ""}}});
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(host.runner.ran("start chillbox.blog.mail.a1"));
  CHECK(host.runner.ran("start chillbox.blog.mail.a2"));
  CHECK(host.text(host.paths.slots() + "/chillbox.blog.mail.a2.json")
            .find("\"CHILLBOX_WORKER\",\"2\"") != std::string::npos);
}
