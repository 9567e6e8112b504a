// kill -9 in each step of each kind of job: the next start goes on, and store, links and processes
// tell the same.
#include "rollout/host.hpp"

#include "rollout/prune.hpp"
#include "rollout/steps.hpp"
#include "secrets/load.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobKind;
using store::JobState;

namespace {

const std::string k_crash_services =
    R"([{"name":"app","lang":"python","secrets_config":"app.cfg","health":{"deadline":"2s"}}])";

// 1.0.0 and 2.0.0 were good with the secrets "one", 2.0.0 is live.
struct CrashHost : Host {
  CrashHost() {
    unlock();
    REQUIRE(secrets({{"app/app.cfg", "one"}}).state == JobState::done);
    REQUIRE(
        deploy(Order{.version = "1.0.0", .services = k_crash_services}).state == JobState::done);
    REQUIRE(
        deploy(Order{.version = "2.0.0", .services = k_crash_services}).state == JobState::done);
  }
  // Runs the job until the record of this step is written; the daemon dies then, or behind the
  // step.
  bool die_in(const store::Job& job, const std::string& step, bool behind) {
    rollout::JobControl control;
    bool died = false;
    changed = [&](const std::string& id) {
      if (look(id).step != step || look(id).state != JobState::running)
        return;
      died = true;
      if (!behind)
        throw PowerCut();
      control.stop(); // leaves everything as it is when the step has ended
    };
    try {
      rollout::run_job(context(), job.id, control);
    } catch (const PowerCut&) {}
    changed = nullptr;
    return died;
  }
  store::Job start_again(const store::Job& job, bool machine) {
    machine ? reboot() : restart();
    const auto before = look(job.id);
    unlock();
    must(rollout::bring_up(context(), site(), true));
    CHECK(before.state == JobState::running);
    return run(job);
  }
};

std::vector<std::string> steps_of(JobKind kind) {
  std::vector<std::string> names;
  for (const auto* step : rollout::steps_of(kind))
    names.emplace_back(step->name);
  return names;
}

} // namespace

TEST_CASE("[fault-120] a daemon that dies in any step of a deploy ends it after its restart") {
  const bool behind = GENERATE(false, true), machine = GENERATE(false, true);
  CrashHost host;
  int n = 0;
  for (const auto& step : steps_of(JobKind::deploy)) {
    const std::string version = cat("3.0.", ++n);
    const auto job = host.queue_deploy({.version = version,
        .domain = cat("www", n % 2, ".example"),
        .services = k_crash_services});
    INFO("step " << step << (behind ? ", behind it" : ", before it")
                 << (machine ? ", with the machine" : ""));
    REQUIRE(host.die_in(job, step, behind));
    const auto ended = host.start_again(job, machine);
    INFO(ended.message);
    CHECK(ended.state == JobState::done);
    CHECK(disagreement(host, version) == "");
    CHECK(host.row().previous_good == host.look(job.id).previous);
  }
}

TEST_CASE("[fault-120] a deploy that died behind its switch is still watched, and rolled back when it does not hold") {
  CrashHost host;
  const auto job = host.queue_deploy({.version = "3.0.0", .services = k_crash_services});
  REQUIRE(host.die_in(job, "watch", false));
  CHECK(host.ask() == "3.0.0");
  host.runner.app("3.0.0").status = 500;
  std::filesystem::remove(
      host.paths.root + "/run/supervise-chillbox.blog.app.a.pid"); // it crashed with the daemon
  host.restart();
  host.unlock();
  const auto ended = host.run(job);
  INFO(ended.message);
  CHECK(ended.code == Code::rolled_back);
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("[fault-120] a daemon that dies in any step of a rollback ends it after its restart") {
  const bool behind = GENERATE(false, true), machine = GENERATE(false, true);
  CrashHost host;
  std::string live = "2.0.0";
  for (const auto& step : steps_of(JobKind::rollback)) {
    const std::string target = live == "2.0.0" ? "1.0.0" : "2.0.0";
    const auto job = host.queue(JobKind::rollback);
    INFO("step " << step << (behind ? ", behind it" : ", before it")
                 << (machine ? ", with the machine" : ""));
    REQUIRE(host.die_in(job, step, behind));
    const auto ended = host.start_again(job, machine);
    INFO(ended.message);
    CHECK(ended.state == JobState::done);
    CHECK(disagreement(host, target) == "");
    live = target;
  }
}

TEST_CASE("[fault-120] a daemon that dies in any step of a restart ends it after its restart") {
  const bool behind = GENERATE(false, true), machine = GENERATE(false, true);
  CrashHost host;
  for (const auto& step : steps_of(JobKind::restart)) {
    const auto job = host.queue(JobKind::restart);
    INFO("step " << step << (behind ? ", behind it" : ", before it")
                 << (machine ? ", with the machine" : ""));
    REQUIRE(host.die_in(job, step, behind));
    const auto ended = host.start_again(job, machine);
    INFO(ended.message);
    CHECK(ended.state == JobState::done);
    CHECK(disagreement(host, "2.0.0") == "");
  }
}

TEST_CASE("[fault-120] a crash in a restart whose new copy does not come up leaves the traffic with the old one") {
  CrashHost host;
  const auto slot = host.live().slot;
  host.runner.app("2.0.0").exits = true;
  const auto job = host.queue(JobKind::restart);
  REQUIRE(host.die_in(job, "check", false));
  host.restart();
  must(rollout::bring_up(host.context(), site(), true));
  CHECK(host.ask() == "2.0.0");
  CHECK(host.live().slot == slot);
  const auto ended = host.run(job);
  CHECK(ended.code == Code::unhealthy);
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("[fault-120] a daemon that dies in any step of a secrets update ends it after its restart") {
  const bool behind = GENERATE(false, true), machine = GENERATE(false, true);
  CrashHost host;
  int n = 0;
  for (const auto& step : steps_of(JobKind::secrets)) {
    const std::string content = cat("secret ", ++n);
    const Sent sent = host.laptop.pack_secrets("blog", {{"app/app.cfg", content}});
    host.upload(sent);
    const auto job = host.queue(JobKind::secrets, "blog", "", sent);
    INFO("step " << step << (behind ? ", behind it" : ", before it")
                 << (machine ? ", with the machine" : ""));
    REQUIRE(host.die_in(job, step, behind));
    const auto ended = host.start_again(job, machine);
    INFO(ended.message);
    CHECK(ended.state == JobState::done);
    CHECK(host.text(host.paths.secrets_of(site()) + "/app/app.cfg") == content);
    CHECK(must(host.store().secret_set(site()))->sha256 == sent.sha256);
    CHECK(host.live().secrets == sent.sha256);
    CHECK(disagreement(host, "2.0.0") == "");
  }
}

TEST_CASE("[fault-120] secrets that died behind their exchange and then do not hold go back to the ones before") {
  CrashHost host;
  const auto before = host.live().secrets;
  const Sent sent = host.laptop.pack_secrets("blog", {{"app/app.cfg", "broken"}});
  host.upload(sent);
  const auto job = host.queue(JobKind::secrets, "blog", "", sent);
  REQUIRE(host.die_in(job, "start", false));
  host.runner.app("2.0.0").exits = true;
  const auto ended = host.start_again(job, false);
  INFO(ended.message);
  CHECK(ended.code == Code::unhealthy);
  CHECK(host.text(host.paths.secrets_of(site()) + "/app/app.cfg") == "one");
  CHECK(must(host.store().secret_set(site()))->sha256 == before);
  CHECK(host.live().secrets == before);
}

TEST_CASE("[fault-120] what a secrets update had been sent is still there when its exchange was interrupted and another job ended before it") {
  CrashHost host;
  const Sent sent = host.laptop.pack_secrets("blog", {{"app/app.cfg", "two"}});
  host.upload(sent);
  const auto job = host.queue(JobKind::secrets, "blog", "", sent);
  REQUIRE(host.die_in(job, "replace-secrets", false));
  // What that step begins with:
  must(host.context().disk.write(
      cat(host.paths.secret_sets(), "/blog-", sent.sha256, ".age"), "as it came", 0600));
  host.restart(); // sealed: the job waits, others go on
  CHECK(host.run(job).state == JobState::waiting_unlock);
  must(rollout::prune_site(host.context(), site(), false));
  host.unlock();
  const auto ended = host.run(job);
  INFO(ended.message);
  CHECK(ended.state == JobState::done);
  CHECK(host.text(host.paths.secrets_of(site()) + "/app/app.cfg") == "two");
}

TEST_CASE("[fault-120] secrets that do not hold while the vault has died are not what the next start finds") {
  CrashHost host;
  const auto before = host.live().secrets;
  host.changed = [&](const std::string& id) {
    if (host.look(id).step == "check")
      host.context().vault.lock();
  };
  host.runner.app("2.0.0").exits = true;
  CHECK(host.secrets({{"app/app.cfg", "broken"}}).code == Code::unhealthy);
  host.changed = nullptr;
  CHECK(must(host.store().secret_set(site()))->sha256 == before);
  CHECK_FALSE(std::filesystem::exists(host.paths.secrets_of(site()) + "/app/app.cfg"));
  CHECK(host.ask() == "2.0.0");
  host.runner.app("2.0.0").exits = false;
  host.unlock();
  must(rollout::bring_up(host.context(), site(), false));
  CHECK(host.text(host.paths.secrets_of(site()) + "/app/app.cfg") == "one");
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("[fault-120] secrets whose vault dies behind their unseal need it no more") {
  CrashHost host;
  host.changed = [&](const std::string& id) {
    if (host.look(id).step == "replace-secrets")
      host.context().vault.lock();
  };
  const auto job = host.secrets({{"app/app.cfg", "two"}});
  INFO(job.message);
  CHECK(job.state == JobState::done);
  CHECK(host.text(host.paths.secrets_of(site()) + "/app/app.cfg") == "two");
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("[fault-120] what was not staged while the host was sealed is, by a deploy, a restart or a rollback that comes before the unlock's own turn") {
  CrashHost host;
  const auto kind = GENERATE(JobKind::deploy, JobKind::restart, JobKind::rollback);
  must(secrets::wipe_secrets(host.paths, site()));
  const auto job = kind == JobKind::deploy
      ? host.deploy(Order{.version = "3.0.0", .services = k_crash_services})
      : host.run(host.queue(kind));
  INFO(job.message);
  CHECK(job.state == JobState::done);
  CHECK(host.text(host.paths.secrets_of(site()) + "/app/app.cfg") == "one");
}

TEST_CASE("[fault-120] new secrets that a crash interrupted are not refused as their own ones when a rollback came between") {
  CrashHost host;
  const Sent sent = host.laptop.pack_secrets("blog", {{"app/app.cfg", "two"}});
  host.upload(sent);
  const auto job = host.queue(JobKind::secrets, "blog", "", sent);
  REQUIRE(host.die_in(job, "start", false));
  host.restart();
  REQUIRE(host.run(job).state == JobState::waiting_unlock);
  host.unlock();
  REQUIRE(host.rollback().state == JobState::done);
  REQUIRE(host.text(host.paths.secrets_of(site()) + "/app/app.cfg") == "one");
  const auto ended = host.run(job);
  INFO(ended.message);
  CHECK(ended.state == JobState::done);
  CHECK(host.text(host.paths.secrets_of(site()) + "/app/app.cfg") == "two");
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("secrets that came before the site's first release are there for it behind a reboot") {
  Host host;
  host.unlock();
  REQUIRE(host.secrets({{"app/app.cfg", "one"}}).state == JobState::done);
  host.reboot();
  host.unlock();
  must(rollout::bring_up(host.context(), site(), false));
  const auto job = host.deploy(Order{.version = "1.0.0", .services = k_crash_services});
  INFO(job.message);
  CHECK(job.state == JobState::done);
}

TEST_CASE("[fault-120] secrets that died in their watch do not pass for good because they are in use already") {
  CrashHost host;
  const Sent sent = host.laptop.pack_secrets("blog", {{"app/app.cfg", "broken"}});
  host.upload(sent);
  const auto job = host.queue(JobKind::secrets, "blog", "", sent);
  REQUIRE(host.die_in(job, "watch", false));
  host.runner.app("2.0.0").status = 500;
  host.restart();
  host.unlock();
  const auto ended = host.run(job);
  INFO(ended.message);
  CHECK(ended.code == Code::unhealthy);
}

TEST_CASE("[fault-120] a daemon that dies while it removes a site ends it after its restart") {
  CrashHost host;
  for (uint64_t n = 1;; ++n) {
    if (!must(host.store().site(site())))
      REQUIRE(host.deploy(Order{.version = cat("4.0.", n)}).state == JobState::done);
    const auto job = host.queue(JobKind::remove);
    host.disk.cut_power_at(n);
    bool cut = false;
    try {
      host.run(job);
    } catch (const PowerCut&) {
      cut = true;
    }
    host.disk.cut_power_at(0);
    host.restart();
    host.unlock();
    const auto ended = host.run(job);
    INFO("cut " << n << ": " << ended.message);
    CHECK(ended.state == JobState::done);
    CHECK(host.nginx_text().empty());
    CHECK(host.context().slots.all().empty());
    CHECK_FALSE(host.disk.exists(host.paths.site(site())));
    CHECK_FALSE(host.disk.exists(host.paths.live(site())));
    CHECK(must(host.store().site(site())) == std::nullopt);
    if (!cut)
      break;
    REQUIRE(n < 100);
  }
}

TEST_CASE("[fault-120] a site that is gone when the daemon dies behind its removal counts as removed") {
  CrashHost host;
  const auto job = host.queue(JobKind::remove);
  REQUIRE(host.die_in(job, "remove", true));
  REQUIRE(must(host.store().site(site())) == std::nullopt);
  host.restart();
  CHECK(host.run(job).state == JobState::done);
}

TEST_CASE("a site of an older chillbox gets a text with a place for a certificate at the next start, if NGINX takes it") {
  CrashHost host;
  auto row = host.live();
  const std::string now = row.nginx;
  REQUIRE(nginx::takes_certificate(now));
  row.nginx = "server { listen 80; }\n";
  must(host.store().put_release(row));
  must(host.context().nginx.install(site(), row.nginx));
  host.runner.nginx_error = "unknown directive";
  host.restart();
  must(rollout::bring_up(host.context(), site(), true));
  CHECK(host.nginx_text() == row.nginx);
  host.runner.nginx_error.clear();
  host.restart();
  must(rollout::bring_up(host.context(), site(), true));
  CHECK(host.nginx_text() == now);
  CHECK(host.live().nginx == now);
  CHECK(disagreement(host, "2.0.0") == "");
}
