// A key that is not trusted any more: nothing of it is started again, what runs goes on, and an
// administrator may keep it.
#include "rollout/host.hpp"

#include "rollout/manifest.hpp"
#include "rollout/trust.hpp"
#include "secrets/load.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobKind;
using store::JobState;

namespace {

const std::string k_trust_services =
    R"([{"name":"app","lang":"python","secrets_config":"app.cfg","health":{"deadline":"2s"}}])";

rollout::Signer signer(const std::string& name, Deployer& who) {
  return {name, artifact::fingerprint(who.key().public_key())};
}

// What status says of all sites is what a start of this one would.
std::string good_live(Host& host) {
  const auto live = host.live();
  const auto alone = outcome(rollout::check_live(host.context(), live));
  CHECK(outcome(must(rollout::Trust::read(host.context())).check_live(live)) == alone);
  return alone;
}

// 1.0.0 is of a deployer "thief" who is trusted still, 2.0.0 of anna's key is live.
struct TwoDeployers : Host {
  TwoDeployers() {
    unlock();
    trust_thief();
    REQUIRE(deploy_as_thief({.version = "1.0.0", .serial = 1}).state == JobState::done);
    REQUIRE(deploy(Order{.version = "2.0.0", .serial = 2}).state == JobState::done);
  }
  void trust_thief() { write(paths.trusted() + "/thief.pub", thief.public_key()); }
  void revoke_thief() { must(disk.remove(paths.trusted() + "/thief.pub")); }
  store::Job queue_as_thief(const Order& order) {
    const Sent sent = thief.pack(order);
    upload(sent);
    return queue(JobKind::deploy, order.slug, order.version, sent);
  }
  store::Job deploy_as_thief(const Order& order) { return run(queue_as_thief(order)); }
  Deployer thief{[this] {
                   const std::string desk = ground.path + "/theirs";
                   std::filesystem::create_directories(desk);
                   return desk;
                 }(),
      identity.recipient()};
};

// 3.0.0 of the thief is live, and the key is gone.
struct Robbed : TwoDeployers {
  Robbed() {
    REQUIRE(deploy_as_thief({.version = "3.0.0", .serial = 3}).state == JobState::done);
    revoke_thief();
  }
};

} // namespace

TEST_CASE("no rollback goes to a release of a key that is not trusted any more, with the same name neither [attack-B5]") {
  TwoDeployers host;
  host.revoke_thief();
  for (const std::string version : {"", "1.0.0", "1.0.0-1"}) {
    const auto job = host.rollback(version);
    CHECK(job.code == Code::denied);
    CHECK(
        job.message.find(
            "release 1.0.0-1 is not started again: the key of 'thief' is not trusted for 'blog' any more") !=
        std::string::npos);
  }
  host.write(host.paths.trusted() + "/thief.pub",
      crypto::MinisignSecretKey::generate().public_key().to_file());
  CHECK(host.rollback("1.0.0").code == Code::denied);
  CHECK(disagreement(host, "2.0.0") == "");
  host.trust_thief(); // it was no theft
  CHECK(host.rollback("1.0.0").state == JobState::done);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("a key that is limited to other sites is not trusted for this one any more [attack-B5]") {
  TwoDeployers host;
  host.write(host.paths.trusted() + "/thief.pub", host.thief.public_key() + "sites: shop\n");
  CHECK(host.rollback("1.0.0").code == Code::denied);
}

TEST_CASE("a file of trusted/ that cannot be read speaks for no key, and another one's trust stays") {
  TwoDeployers host;
  host.write(host.paths.trusted() + "/broken.pub", "nonsense\n");
  CHECK(host.rollback("1.0.0").state == JobState::done);
  host.revoke_thief();
  CHECK(host.rollback("2.0.0").state == JobState::done);
  CHECK(host.rollback("1.0.0").state == JobState::failed);
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("a key that goes between a deploy's checks and its switch: it does not switch [attack-B5]") {
  TwoDeployers host;
  const auto job = host.queue_as_thief({.version = "3.0.0", .serial = 3});
  host.changed = [&](const std::string& id) {
    if (const auto now = host.look(id);
        now.step == "check" && host.disk.exists(host.paths.trusted() + "/thief.pub"))
      host.revoke_thief();
  };
  const auto done = host.run(job);
  CHECK(done.code == Code::denied);
  CHECK(done.message.find("the key of 'thief' is not trusted for 'blog' any more") !=
      std::string::npos);
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("what is live of a key that goes runs on over a restart of the daemon, and is not started by a restart or a start [attack-B5]") {
  Robbed host;
  CHECK(good_live(host).find("the key of 'thief' is not trusted for 'blog' any more") !=
      std::string::npos);
  CHECK(host.run(host.queue(JobKind::restart)).code == Code::denied);
  host.restart();
  host.unlock();
  CHECK_FALSE(rollout::bring_up(host.context(), site(), false));
  CHECK(host.ask() == "3.0.0");
  CHECK(host.run(host.queue(JobKind::stop)).state == JobState::done);
  CHECK(host.run(host.queue(JobKind::start)).code == Code::denied);
  CHECK(host.ask() == "nobody");
}

TEST_CASE("behind a boot it does not come up, visitors get the page; kept by an administrator it does [attack-B5]") {
  Robbed host;
  host.reboot();
  host.unlock();
  const auto up = rollout::bring_up(host.context(), site(), false);
  REQUIRE_FALSE(up);
  CHECK(up.error().code == Code::denied);
  CHECK(up.error().message.find("`chillboxctl trust keep blog`") != std::string::npos);
  CHECK(host.ask() == "nobody");
  CHECK(host.disk.exists(host.paths.run() + "/sealed/blog"));
  CHECK(host.link(host.paths.current(site())) == "");
  CHECK(must(rollout::keep_live(host.context(), site(), "uid:0 root", {})) == "3.0.0");
  REQUIRE(rollout::bring_up(host.context(), site(), false));
  CHECK(disagreement(host, "3.0.0") == "");
  CHECK_FALSE(host.disk.exists(host.paths.run() + "/sealed/blog"));
  CHECK(host.run(host.queue(JobKind::restart)).state == JobState::done);
  CHECK(host.rollback("1.0.0").code == Code::denied); // that one was not live, so it was not kept
}

TEST_CASE("instead of what does not come up, another release can be deployed, or rolled back to [attack-B5]") {
  for (const bool rollback : {true, false}) {
    Robbed host;
    host.reboot();
    host.unlock();
    REQUIRE_FALSE(rollout::bring_up(host.context(), site(), false));
    const auto job =
        rollback ? host.rollback("2.0.0") : host.deploy(Order{.version = "4.0.0", .serial = 4});
    INFO(job.message);
    CHECK(job.state == JobState::done);
    CHECK(disagreement(host, rollback ? "2.0.0" : "4.0.0") == "");
    CHECK_FALSE(host.disk.exists(host.paths.run() + "/sealed/blog"));
  }
}

TEST_CASE("what uses a key is listed: what is live of it, and the secrets in use") {
  Robbed host;
  const auto uses = must(rollout::uses_of_key(host.context(), signer("thief", host.thief)));
  REQUIRE(uses.size() == 1);
  CHECK(uses[0].site == site());
  CHECK(uses[0].version == "3.0.0");
  must(rollout::keep_live(host.context(), site(), "uid:0 root", {}));
  CHECK(must(rollout::uses_of_key(host.context(), signer("thief", host.thief))).empty());
}

TEST_CASE("[attack-W64] what an administrator keeps of a key that goes is only what that key signed: another's secret set goes with its own key") {
  TwoDeployers host;
  REQUIRE(host.secrets({{"app/app.cfg", "one"}}).state == JobState::done); // anna's
  REQUIRE(host.deploy_as_thief({.version = "3.0.0", .serial = 3}).state == JobState::done);
  const auto annas = signer("anna", host.laptop);
  CHECK(outcome(rollout::keep_live(host.context(), site(), "uid:0 root", {}))
          .starts_with("conflict: nothing of 'blog' is to be kept"));
  must(rollout::keep_live(host.context(), site(), "uid:0 root", signer("thief", host.thief)));
  host.revoke_thief();
  CHECK(good_live(host) == "ok");
  const auto uses = must(rollout::uses_of_key(host.context(), annas));
  REQUIRE(uses.size() == 1);
  CHECK(uses[0].version == ""); // the secrets
  must(host.disk.remove(host.paths.trusted() + "/anna.pub"));
  CHECK(good_live(host).find(" is not used again: the key of 'anna'") != std::string::npos);
  // And later by hand: what is refused now.
  must(rollout::keep_live(host.context(), site(), "uid:1 me", {}));
  CHECK(good_live(host) == "ok");
  CHECK(host.live().kept_by == "uid:0 root");
  must(rollout::keep_live(host.context(), site(), "uid:1 me", {})); // twice is as once
}

TEST_CASE("[attack-W64] the other way round: kept secrets keep no release of another key") {
  TwoDeployers host; // anna's 2.0.0 is live
  const auto sent = host.secrets({{"app/app.cfg", "one"}});
  REQUIRE(sent.state == JobState::done);
  auto set = must(host.store().secret_set(site())).value();
  must(host.store().put_used_set({site(), set.sha256, set.serial, 0, "thief",
      artifact::fingerprint(host.thief.key().public_key())}));
  must(rollout::keep_live(host.context(), site(), "uid:0 root", signer("thief", host.thief)));
  host.revoke_thief();
  CHECK(good_live(host) == "ok");
  must(host.disk.remove(host.paths.trusted() + "/anna.pub"));
  CHECK(good_live(host).find("release 2.0.0-2 is not started again") != std::string::npos);
}

TEST_CASE("a deploy that fails in its watch does not go back to what may not come back: it stays, and fails as unhealthy [attack-B5]") {
  Robbed host;
  host.runner.app("4.0.0").respawns = 1;
  const auto job = host.deploy(Order{.version = "4.0.0", .serial = 4});
  INFO(job.message);
  CHECK(job.code == Code::unhealthy);
  CHECK(job.message.find("4.0.0 stays live anyway, because release 3.0.0-3 is not started again") !=
      std::string::npos);
  CHECK(host.live().version == "4.0.0");
}

TEST_CASE("a release that was withdrawn is no target, is not deployed again, and not started again when it is live [attack-B5]") {
  TwoDeployers host;
  const auto old = host.release("1.0.0-1");
  must(host.store().withdraw({site(), old.sha256, old.version, old.serial, "uid:0 root",
      "it lets strangers in", host.clock.wall_ms()}));
  CHECK(host.row().previous_good.empty());
  CHECK(host.rollback().code == Code::not_found);
  const auto job = host.rollback("1.0.0");
  CHECK(job.code == Code::denied);
  CHECK(job.message.find("1.0.0 of 'blog' was withdrawn by uid:0 root on 2027-") !=
      std::string::npos);
  CHECK(job.message.find(": it lets strangers in: deploy another version") != std::string::npos);
  // The same artifact, and the same serial of another encryption, whatever an operator allows.
  host.options.allow_downgrade = true;
  auto again = host.queue(JobKind::deploy, "blog", "1.0.0", {.sha256 = old.sha256, .size = 1});
  CHECK(host.run(again).code == Code::denied);
  CHECK(host.deploy_as_thief({.version = "1.0.1", .serial = 1})
            .message.find("1.0.0 of 'blog' was withdrawn") != std::string::npos);
  host.options = {};
  const auto live = host.live();
  must(host.store().withdraw(
      {site(), live.sha256, live.version, live.serial, "uid:0 root", "", host.clock.wall_ms()}));
  CHECK(good_live(host).starts_with("denied: 2.0.0 of 'blog' was withdrawn"));
  CHECK(host.run(host.queue(JobKind::restart)).code == Code::denied);
  CHECK(outcome(rollout::keep_live(host.context(), site(), "uid:0 root", {}))
          .starts_with("denied: 2.0.0 of 'blog' was withdrawn"));
  CHECK(host.ask() == "2.0.0");
  // Its files go once it is not live any more.
  CHECK(host.deploy(Order{.version = "3.0.0", .serial = 9}).state == JobState::done);
  CHECK(host.releases_on_disk() == std::vector<std::string>{"3.0.0-3"});
}

TEST_CASE("a store that is made again knows what was withdrawn, who signed and who kept [attack-B5]") {
  Robbed host;
  const auto old = host.release("2.0.0-2");
  must(
      host.store().withdraw({site(), old.sha256, old.version, old.serial, "uid:0 root", "why", 5}));
  must(rollout::keep_live(host.context(), site(), "uid:0 root", {}));
  host.daemon.reset();
  for (const char* suffix : {"", "-wal", "-shm"})
    std::filesystem::remove(host.paths.database() + suffix);
  host.begin();
  rollout::restore_from_manifests(host.disk, host.paths, host.store(), host.clock.wall_ms());
  CHECK(host.live().kept_by == "uid:0 root");
  CHECK(host.release("1.0.0-1").signer_key == artifact::fingerprint(host.thief.key().public_key()));
  host.unlock();
  CHECK(host.rollback("1.0.0").code == Code::denied);
  CHECK(host.rollback("2.0.0").code == Code::denied);
}

namespace {

// 1.0.0 was live with the secrets "one", 2.0.0 was too, and is with "two".
struct Leaked : Host {
  Leaked() {
    unlock();
    REQUIRE(secrets({{"app/app.cfg", "one"}}).state == JobState::done);
    REQUIRE(
        deploy(Order{.version = "1.0.0", .services = k_trust_services}).state == JobState::done);
    REQUIRE(
        deploy(Order{.version = "2.0.0", .services = k_trust_services}).state == JobState::done);
    REQUIRE(secrets({{"app/app.cfg", "two"}}).state == JobState::done);
  }
  std::string staged() { return text(paths.secrets_of(site()) + "/app/app.cfg"); }
};

} // namespace

TEST_CASE("a secret set that was withdrawn does not come back with its release, its file goes, and the current one is refused [attack-B5]") {
  Leaked host;
  const auto current = must(host.store().secret_set(site()));
  CHECK(outcome(rollout::withdraw_sets(host.context(), site(), current->serial))
          .starts_with("conflict: "));
  const auto done = must(rollout::withdraw_sets(host.context(), site(), 0));
  CHECK(done.sets == 1);
  CHECK(must(host.disk.list(host.paths.secret_sets())).size() == 1);
  const auto job = host.rollback("1.0.0");
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(host.told(job.id,
      "was withdrawn, with all up to 1: deploy a newer one; the release starts with the set that is in use"));
  CHECK(host.staged() == "two");
  CHECK(must(host.store().secret_set(site()))->sha256 == current->sha256);
}

TEST_CASE("secrets of a key that is not trusted any more are not used again [attack-B5]") {
  Leaked host;
  const auto old = must(host.store().used_sets(site())).front();
  must(host.store().put_used_set(
      {site(), old.sha256, old.serial, 0, "thief", std::string(64, 'f')}));
  const auto job = host.rollback("1.0.0");
  REQUIRE(job.state == JobState::done);
  CHECK(host.told(
      job.id, "is not used again: the key of 'thief' is not trusted for 'blog' any more"));
  CHECK(host.staged() == "two");
  // Those in use: nothing is started with them.
  const auto current = must(host.store().secret_set(site()));
  must(host.store().put_used_set(
      {site(), current->sha256, current->serial, 0, "thief", std::string(64, 'f')}));
  CHECK(good_live(host).find(" is not used again: the key of 'thief'") != std::string::npos);
  CHECK(host.run(host.queue(JobKind::restart)).code == Code::denied);
  host.reboot();
  host.unlock();
  CHECK_FALSE(rollout::bring_up(host.context(), site(), false));
  CHECK(host.staged() == "");
  must(rollout::keep_live(host.context(), site(), "uid:0 root", {}));
  CHECK(good_live(host) == "ok");
  CHECK(rollout::bring_up(host.context(), site(), false));
  CHECK(host.staged() == "two");
  must(host.store().raise_serial(site(), rollout::k_secrets_floor, current->serial));
  CHECK(good_live(host).find(cat("was withdrawn, with all up to ", current->serial)) !=
      std::string::npos);
}

TEST_CASE("new secrets do not start a release again that may not be; while the site is stopped they are taken") {
  Leaked host;
  auto live = host.live();
  live.signer = "thief";
  live.signer_key = std::string(64, 'f');
  must(host.store().put_release(live));
  const auto refused = host.secrets({{"app/app.cfg", "three"}});
  CHECK(refused.code == Code::denied);
  CHECK(refused.message.find("`chillboxctl stop blog`") != std::string::npos);
  CHECK(host.staged() == "two");
  REQUIRE(host.run(host.queue(JobKind::stop)).state == JobState::done);
  CHECK(host.secrets({{"app/app.cfg", "three"}}).state == JobState::done);
  CHECK(
      host.deploy(Order{.version = "3.0.0", .services = k_trust_services}).state == JobState::done);
  CHECK(host.staged() == "three");
}

TEST_CASE("[fault-996] what an administrator keeps while it is watched stays kept at the end of the watch, and the release is good") {
  Leaked host;
  host.changed = [&](const std::string& id) {
    if (const auto job = host.look(id);
        job.version == "3.0.0" && job.step == "watch" && host.live().kept_by.empty())
      must(rollout::keep_live(host.context(), site(), "uid:0 root", signer("anna", host.laptop)));
  };
  REQUIRE(
      host.deploy(Order{.version = "3.0.0", .services = k_trust_services}).state == JobState::done);
  CHECK(host.live().version == "3.0.0");
  CHECK(host.live().kept_by == "uid:0 root");
  CHECK(host.live().state == store::ReleaseState::good);
  const auto set = must(host.store().secret_set(site()));
  CHECK(must(host.store().used_set(site(), set->sha256))->kept_by == "uid:0 root");
  // And of a set that a rollback takes up again.
  REQUIRE(host.rollback("1.0.0").state == JobState::done);
  REQUIRE(host.rollback("3.0.0").state == JobState::done);
  CHECK(host.live().kept_by == "uid:0 root");
  CHECK(must(host.store().used_set(site(), set->sha256))->kept_by == "uid:0 root");
}
