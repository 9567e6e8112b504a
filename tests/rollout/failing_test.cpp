// A new release that fails on its way: each time the old one is live, the new one's directory is
// gone and its row says why.
#include "rollout/host.hpp"
#include "rollout/service_kind.hpp"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;
using store::ReleaseState;

namespace {

void kept_the_old(LiveHost& host, const store::Job& job, Code code, const std::string& part) {
  INFO(job.message);
  CHECK(job.state == JobState::failed);
  CHECK(job.code == code);
  CHECK(job.message.find(part) != std::string::npos);
  CHECK(job.message.ends_with("; 1.0.0 stays live"));
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(join(host.releases_on_disk(), " ") == "1.0.0-1");
  const auto release = host.release(job.release);
  CHECK(release.state == ReleaseState::failed);
  CHECK(release.message.find(part) != std::string::npos);
  for (const auto& slot : host.context().slots.all())
    CHECK(slot.slot == Slot::a);
}

} // namespace

TEST_CASE("a build that fails leaves the old release live and its last line in the verdict") {
  LiveHost host;
  host.runner.app("2.0.0").build_error = "no wheel for flask 3.1 on cp311";
  const auto job = host.deploy("2.0.0");
  kept_the_old(host, job, Code::failure,
      "service 'app': build ended with code 1: no wheel for flask 3.1 on cp311");
  CHECK(host.told(job.id, "build log building"));
  CHECK(host.runner.count("start") == 0);
}

TEST_CASE("a release_command that fails leaves the old release live and is named") {
  LiveHost host;
  host.runner.app("2.0.0").release_command_error = "column exists";
  const auto job = host.deploy(Order{.version = "2.0.0",
      .services = R"([{"name":"app","lang":"python","release_command":"/usr/bin/migrate"}])"});
  kept_the_old(host, job, Code::failure,
      "release_command '/usr/bin/migrate' ended with code 3: its last line: column exists");
  CHECK(host.told(job.id, "release_command of 'app' runs"));
}

TEST_CASE("a release_command that hangs is ended, and the message names it and the limit; the job does not go on, so neither does its code say so") {
  LiveHost host;
  host.runner.app("2.0.0").release_command_hangs = true;
  const auto job = host.deploy(Order{.version = "2.0.0",
      .services = R"([{"name":"app","lang":"python","release_command":"/usr/bin/migrate"}])"});
  kept_the_old(host, job, Code::failure,
      "release_command '/usr/bin/migrate': run /usr/bin/migrate: not finished, stopped (limits.build_timeout)");
}

TEST_CASE("a copy that never had visitors is not waited for as long as one that had, however long it hangs") {
  LiveHost host;
  host.runner.app("2.0.0").status = 500;
  host.deploy("2.0.0");
  const auto without = host.runner.time_given("stop chillbox.blog.app.b");
  host.deploy("3.0.0");
  CHECK(without + os::Millis{20'000} < host.runner.time_given("stop chillbox.blog.app.a"));
}

TEST_CASE("[fault-104] a new release that answers 500 forever is unhealthy, its own last lines are kept") {
  LiveHost host;
  host.runner.app("2.0.0").status = 500;
  for (int i = 1; i <= 25; ++i)
    host.runner.app("2.0.0").says += cat("line ", i, "\n");
  const auto job = host.deploy("2.0.0");
  kept_the_old(host, job, Code::unhealthy, "service 'app' is not healthy after");
  CHECK(job.message.find("GET / answered 500") != std::string::npos);
  CHECK(exit_code(*job.code) == 9);
  const auto log = host.release(job.release).last_log;
  CHECK(log.starts_with("line 6\n"));
  CHECK(log.ends_with("line 25\n"));
  CHECK(host.told(job.id, "log line 25"));
}

TEST_CASE("a new release is on the disk before it has a visitor, and one that cannot be is not switched to [fault-1203]") {
  LiveHost host;
  std::atomic<bool> synced{false};
  bool early = false;
  host.disk.syncing = [&]() -> Result<void> {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    synced = true;
    return {};
  };
  host.disk.before_write = [&] { early = early || (host.live().version == "2.0.0" && !synced); };
  CHECK(host.deploy("2.0.0").state == JobState::done);
  CHECK(synced);
  CHECK_FALSE(early);
  host.disk.before_write = nullptr;
  host.disk.syncing = []() -> Result<void> { return fail(Code::failure, "sync: broken"); };
  const auto job = host.deploy("3.0.0");
  CHECK(job.message == "check: sync: broken; 2.0.0 stays live");
}

TEST_CASE("[fault-104] a new release that exits at once is found out before its deadline") {
  LiveHost host;
  host.runner.app("2.0.0").exits = true;
  host.runner.app("2.0.0").says = "ModuleNotFoundError: No module named 'flask'\n";
  const auto job = host.deploy(Order{.version = "2.0.0",
      .services = R"([{"name":"app","lang":"python","health":{"deadline":"10m"}}])"});
  kept_the_old(host, job, Code::unhealthy, "service 'app' keeps crashing on start");
  CHECK(host.release(job.release).last_log == "ModuleNotFoundError: No module named 'flask'\n");
}

TEST_CASE("a release that writes where it cannot is told where it can [fault-269]") {
  LiveHost host;
  host.runner.app("2.0.0").exits = true;
  host.runner.app("2.0.0").says = "sqlite3.OperationalError: unable to open database file\n";
  const auto job = host.deploy("2.0.0");
  CHECK(host.told(job.id, "log the release is read-only: what a service writes goes to"));
  CHECK(host.release(job.release).last_log ==
      "sqlite3.OperationalError: unable to open database file\n");
  CHECK(rollout::read_only_hint("open '/srv/chillbox/b/releases/1/web/x': EACCES") != "");
  CHECK(rollout::read_only_hint(
            "[Errno 13] Permission denied: '/srv/x/releases/1.0-1/web/instance'") != "");
  CHECK(rollout::read_only_hint("OSError: [Errno 30] Read-only file system: 'x'") != "");
  CHECK(rollout::read_only_hint("open /etc/shadow: permission denied") == "");
  CHECK(rollout::read_only_hint("ModuleNotFoundError: No module named 'x'") == "");
}

TEST_CASE("[fault-104] a new release that crashes again and again is not waited for") {
  LiveHost host;
  host.runner.app("2.0.0").early_respawns = 2;
  host.runner.app("2.0.0").status = 500;
  const auto job = host.deploy(Order{.version = "2.0.0",
      .services = R"([{"name":"app","lang":"python","health":{"deadline":"10m"}}])"});
  kept_the_old(host, job, Code::unhealthy, "keeps crashing on start");
}

TEST_CASE("[fault-1174] a new release that goes into the background again and again is said to do so, unless it says an error") {
  for (const bool says : {false, true}) {
    LiveHost host;
    host.runner.app("2.0.0").early_respawns = 2;
    host.runner.app("2.0.0").status = 500;
    if (says)
      host.runner.app("2.0.0").says = "ModuleNotFoundError: No module named 'flask'\n";
    const std::string group = host.paths.root + "/sys/fs/cgroup/openrc.chillbox.blog.app.b";
    const std::string pid = "2000000000"; // more than Linux ever gives
    std::filesystem::create_directories(group);
    std::filesystem::create_directories(cat(host.paths.root, "/proc/", pid));
    host.write(group + "/cgroup.procs", pid + "\n");
    host.write(cat(host.paths.root, "/proc/", pid, "/stat"), pid + " (gunicorn) S 1 7 7 0");
    host.runner.before = [&](const std::string& command) {
      if (command.starts_with("stop "))
        std::filesystem::remove_all(group);
    };
    const auto job = host.deploy(Order{.version = "2.0.0",
        .services = R"([{"name":"app","lang":"python","health":{"deadline":"10m"}}])"});
    kept_the_old(host, job, Code::unhealthy,
        says ? "keeps crashing on start: ModuleNotFoundError"
             : "went into the background: it must stay in the foreground");
  }
}

TEST_CASE("the last lines are the new release's own, not what the old one wrote before") {
  LiveHost host;
  host.write(host.paths.logs_of(site()) + "/app.log", "an old line\n");
  host.runner.app("2.0.0").exits = true;
  host.runner.app("2.0.0").says = "a new line\n";
  CHECK(host.release(host.deploy("2.0.0").release).last_log == "a new line\n");
}

TEST_CASE("a health path of its own must answer with 2xx or 3xx, else anything below 500 will do") {
  LiveHost host;
  host.runner.app("2.0.0").status = 404;
  host.runner.app("3.0.0").status = 404;
  CHECK(host.deploy("2.0.0").state == JobState::done);
  const auto strict = host.deploy(Order{.version = "3.0.0",
      .services = R"([{"name":"app","lang":"python","health":{"path":"/up","deadline":"1s"}}])"});
  CHECK(strict.code == Code::unhealthy);
  CHECK(strict.message.find("GET /up answered 404") != std::string::npos);
}

TEST_CASE("[fault-113] what `nginx -t` refuses is refused before anything is touched, its line is told, and what was tried is kept") {
  LiveHost host;
  host.runner.nginx_error =
      "unknown directive \"prxy_pass\" in /etc/nginx/http.d/chillbox.blog.conf:3";
  const std::string before = host.nginx_text();
  const auto job = host.deploy(Order{.version = "2.0.0", .domain = "www.example"});
  INFO(job.message);
  CHECK(job.code == Code::preflight);
  CHECK(job.message.find("nginx -t: [emerg] unknown directive \"prxy_pass\"") != std::string::npos);
  const std::string kept = host.paths.state() + "/nginx/blog.failed";
  CHECK(job.message.find(cat("(what was tried: ", kept, ")")) != std::string::npos);
  CHECK(host.text(kept).find("server_name www.example;") != std::string::npos);
  CHECK(host.nginx_text() == before);
  CHECK(host.runner.count("build") + host.runner.count("start") == 0);
  CHECK(host.runner.count("nginx -s reload") == 0);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("[fault-114] NGINX that keeps the old configuration silently is found out, and all goes back") {
  LiveHost host;
  const std::string before = host.nginx_text();
  host.runner.before = [&](const std::string& command) {
    host.runner.nginx_is_deaf = command == "nginx -s reload" && host.runner.count("nginx -s") == 1;
  };
  const auto job = host.deploy(Order{.version = "2.0.0", .domain = "www.example"});
  kept_the_old(host, job, Code::unhealthy, "NGINX did not take the new configuration");
  CHECK(host.nginx_text() == before);
  CHECK(host.runner.count("nginx -s reload") == 2); // there and back
}

TEST_CASE("a release whose name another server answers is rolled back, and who answers is told [attack-A2]") {
  LiveHost host;
  const std::string before = host.nginx_text();
  host.runner.nginx_answers_as = "a page of somebody";
  const auto job = host.deploy(Order{.version = "2.0.0", .domain = "www.example"});
  kept_the_old(host, job, Code::unhealthy, "asked for 'www.example' on port ");
  CHECK(job.message.find("NGINX does not answer as this site but with 200: a page of somebody") !=
      std::string::npos);
  CHECK(host.nginx_text() == before);
}

TEST_CASE("a first release that fails leaves no site behind") {
  Host host;
  host.unlock();
  host.runner.app("1.0.0").status = 500;
  const auto job = host.deploy("1.0.0");
  INFO(job.message);
  CHECK(job.code == Code::unhealthy);
  CHECK(host.row().live.empty());
  CHECK(host.releases_on_disk().empty());
  CHECK(host.context().slots.all().empty());
  CHECK(host.nginx_text().empty());
  CHECK(host.link(host.paths.current(site())).empty());
  host.runner.app("1.0.0").status = 200;
  CHECK(host.deploy("1.0.0").state == JobState::done);
}

TEST_CASE("[fault-119] the administrator's event hears of a failed and of a good deploy") {
  LiveHost host;
  for (const char* event : {"deploy-failed", "post-deploy"}) {
    std::filesystem::create_directories(host.paths.admin_hooks() + "/events");
    host.write(cat(host.paths.admin_hooks(), "/events/", event), "");
  }
  host.runner.app("2.0.0").build_error = "no";
  host.deploy("2.0.0");
  CHECK(host.runner.ran("deploy-failed"));
  CHECK_FALSE(host.runner.ran("post-deploy"));
  host.deploy("2.0.1");
  CHECK(host.runner.ran("post-deploy"));
}

TEST_CASE("the administrator's event hears of each job that ran and failed, but of no stop or removal") {
  LiveHost host;
  std::filesystem::create_directories(host.paths.admin_hooks() + "/events");
  host.write(host.paths.admin_hooks() + "/events/deploy-failed", "");
  const auto heard = [&](const store::Job& job) {
    host.runner.forget();
    CHECK(host.run(job).state == JobState::failed);
    return host.runner.count("deploy-failed");
  };
  CHECK(heard(host.queue(store::JobKind::stop, "nosite")) == 0);
  CHECK(heard(host.queue(store::JobKind::remove, "nosite")) == 0);
  CHECK(heard(host.queue(store::JobKind::start, "nosite")) == 1);
  // Its key is removed during the watch: what is live before must not come back.
  std::filesystem::remove(host.paths.trusted() + "/anna.pub");
  Deployer bea{host.ground.path + "/desk", host.identity.recipient()};
  host.write(host.paths.trusted() + "/bea.pub", bea.public_key());
  host.runner.app("2.0.0").respawns = 1;
  const Sent sent = bea.pack({.version = "2.0.0", .serial = 9});
  const auto job = host.queue(store::JobKind::deploy, "blog", "2.0.0", sent);
  host.upload(sent);
  CHECK(heard(job) == 1);
  CHECK(host.look(job.id).message.find("stays live anyway") != std::string::npos);
}
