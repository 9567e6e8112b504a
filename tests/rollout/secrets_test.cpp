// Secret sets: staged into tmpfs, exchanged under running services, back with the release that was
// live with them.
#include "rollout/host.hpp"

#include "secrets/load.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;

namespace {

const std::string k_secret_services =
    R"([{"name":"app","lang":"python","secrets_config":"app.cfg","health":{"deadline":"2s"}}])";

Order secretive(const std::string& version) {
  return {.version = version, .services = k_secret_services};
}

// Secrets "one" and release 1.0.0 that needs them.
struct SecretHost : Host {
  SecretHost() {
    unlock();
    REQUIRE(secrets({{"app/app.cfg", "one"}}).state == JobState::done);
    const auto job = deploy(secretive("1.0.0"));
    INFO(job.message);
    REQUIRE(job.state == JobState::done);
    disk.forget();
    runner.forget();
  }
  std::string staged() { return text(paths.secrets_of(site()) + "/app/app.cfg"); }
};

} // namespace

TEST_CASE("a secret set of a site that has no release is stored and staged for its first") {
  Host host;
  host.unlock();
  const auto job = host.secrets({{"app/app.cfg", "one"}});
  INFO(job.message);
  CHECK(job.state == JobState::done);
  CHECK(job.message == "stored; the site has no release yet");
  CHECK(host.text(host.paths.secrets_of(site()) + "/app/app.cfg") == "one");
  CHECK(must(host.store().secret_set(site()))->serial == 1);
  CHECK(host.deploy(secretive("1.0.0")).state == JobState::done);
}

TEST_CASE("a deploy that misses secrets is refused and names them all") {
  Host host;
  host.unlock();
  const auto job = host.deploy(
      Order{.services = R"([{"name":"app","lang":"python","secrets_config":"app.cfg"}])"});
  CHECK(job.code == Code::preflight);
  CHECK(exit_code(*job.code) == 8);
  CHECK(job.message.find(
            "secret 'app/app.cfg' is not in the site's secret set: `chillboxctl secrets push -H "
            "HOST` sends those of a project") != std::string::npos);
}

TEST_CASE("new secrets restart the services with overlap, and no release is made") {
  SecretHost host;
  std::vector<std::string> seen;
  host.runner.before = [&](const std::string& command) {
    seen.push_back(cat(command, " while ", host.ask(), " answers"));
  };
  const auto job = host.secrets({{"app/app.cfg", "two"}});
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(host.staged() == "two");
  CHECK(host.live().id == "1.0.0-1");
  CHECK(host.live().slot == Slot::b);
  CHECK(host.live().secrets == job.sha256);
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(std::ranges::find(seen, "start chillbox.blog.app.b while 1.0.0 answers") != seen.end());
  CHECK(std::ranges::find(seen, "stop chillbox.blog.app.a while 1.0.0 answers") != seen.end());
  CHECK(host.runner.count("build") == 0);
}

TEST_CASE("secrets that the service does not come up with go back, and the old copy never stopped") {
  SecretHost host;
  const auto before = host.live();
  host.runner.app("1.0.0").exits = true;
  const auto job = host.secrets({{"app/app.cfg", "broken"}});
  INFO(job.message);
  CHECK(job.code == Code::unhealthy);
  CHECK(host.staged() == "one");
  CHECK(must(host.store().secret_set(site()))->sha256 == before.secrets);
  CHECK(host.live().secrets == before.secrets);
  CHECK(host.live().slot == before.slot);
  CHECK(host.runner.count("stop chillbox.blog.app.a") == 0);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("the same secrets again are already in use") {
  Host host;
  host.unlock();
  const Sent sent = host.laptop.pack_secrets("blog", {{"app/app.cfg", "one"}});
  host.upload(sent);
  REQUIRE(host.run(host.queue(store::JobKind::secrets, "blog", "", sent)).state == JobState::done);
  REQUIRE(host.deploy(secretive("1.0.0")).state == JobState::done);
  host.disk.forget();
  host.runner.forget();
  const auto again = host.run(host.queue(store::JobKind::secrets, "blog", "", sent));
  CHECK(again.state == JobState::done);
  CHECK(again.message == "these secrets are already in use");
  CHECK(host.disk.changes().empty());
  CHECK(host.runner.commands().empty());
}

TEST_CASE("[fault-37] a release is no secret set, nor a secret set a release") {
  SecretHost host;
  const Sent set = host.laptop.pack_secrets("blog", {{"app/app.cfg", "two"}});
  host.upload(set);
  CHECK(host.run(host.queue(store::JobKind::deploy, "blog", "1.0.0", set))
            .message.find("signed as a secret set, wanted a release") != std::string::npos);
  const Sent release = host.laptop.pack(secretive("2.0.0"));
  host.upload(release);
  CHECK(host.run(host.queue(store::JobKind::secrets, "blog", "", release))
            .message.find("signed as a release, wanted a secret set") != std::string::npos);
  CHECK(host.staged() == "one");
}

TEST_CASE("a secret set with a file outside of SERVICE/FILE is refused and the old one stays") {
  SecretHost host;
  const auto before = host.live().secrets;
  const auto job = host.secrets({{"app.cfg", "two"}});
  INFO(job.message);
  CHECK(job.code == Code::denied);
  CHECK(host.staged() == "one");
  CHECK(must(host.store().secret_set(site()))->sha256 == before);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("a rollback takes the secrets back that its release was live with") {
  SecretHost host;
  const std::string first = host.live().secrets;
  REQUIRE(host.deploy(secretive("2.0.0")).state == JobState::done);
  REQUIRE(host.secrets({{"app/app.cfg", "two"}}).state == JobState::done); // 2.0.0 with them
  const auto job = host.rollback();
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(host.staged() == "one");
  CHECK(must(host.store().secret_set(site()))->sha256 == first);
  CHECK(host.told(job.id, "its own secret set is restored"));
}

TEST_CASE("a rollback to other secrets needs the vault, and says so when the host is locked") {
  SecretHost host;
  REQUIRE(host.deploy(secretive("2.0.0")).state == JobState::done);
  REQUIRE(host.secrets({{"app/app.cfg", "two"}}).state == JobState::done);
  host.restart(); // sealed, services go on
  const auto job = host.rollback();
  CHECK(job.code == Code::sealed);
  CHECK(exit_code(*job.code) == 6);
  CHECK(host.staged() == "two");
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("[fault-83] after a reboot a site with secrets is sealed and starts by the unlock") {
  SecretHost host;
  host.reboot();
  auto up = must(rollout::bring_up(host.context(), site(), false));
  CHECK(up.release == "1.0.0-1");
  CHECK(join(up.waiting, " ") == "app/app.cfg");
  CHECK(host.disk.exists(host.paths.run() + "/sealed/blog"));
  CHECK(host.ask() == "nobody");
  host.unlock();
  up = must(rollout::bring_up(host.context(), site(), false));
  CHECK(up.waiting.empty());
  CHECK(host.staged() == "one");
  CHECK_FALSE(host.disk.exists(host.paths.run() + "/sealed/blog"));
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("[fault-83] a site without secrets serves after a reboot, sealed or not") {
  LiveHost host;
  host.reboot();
  const auto up = must(rollout::bring_up(host.context(), site(), false));
  CHECK(up.waiting.empty());
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("[fault-83] a restart of the daemon leaves running services alone") {
  SecretHost host;
  host.restart();
  host.disk.forget();
  REQUIRE(must(rollout::bring_up(host.context(), site(), false)).waiting.empty());
  CHECK(host.runner.count("start ") + host.runner.count("stop ") + host.runner.count("nginx") == 0);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("[fault-1012] a site whose service is slow or fails at the unlock is not locked any more") {
  SecretHost host;
  host.reboot();
  must(rollout::bring_up(host.context(), site(), false));
  REQUIRE(host.disk.exists(host.paths.run() + "/sealed/blog"));
  host.unlock();
  host.runner.app("1.0.0").status = 500;
  CHECK(rollout::bring_up(host.context(), site(), false).error().code == Code::unhealthy);
  CHECK_FALSE(host.disk.exists(host.paths.run() + "/sealed/blog"));
}
