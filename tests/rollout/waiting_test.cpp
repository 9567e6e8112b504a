// Jobs that wait for an upload or for the unlock, and what ends their waiting.
#include "rollout/engine_host.hpp"

#include <csignal>

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;

TEST_CASE("a deploy without its upload waits for it, and goes on when it is there") {
  EngineHost host;
  host.unlock();
  const Sent sent = host.laptop.pack({});
  const auto job = host.submit(host.queue(store::JobKind::deploy, "blog", "1.0.0", sent));
  REQUIRE(host.becomes(job, JobState::waiting_upload));
  CHECK(host.told(job.id, "waits for the upload"));
  host.upload(sent);
  host.engine->uploaded(sent.sha256);
  REQUIRE(host.becomes(job, JobState::done));
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("half an upload is none: without the signature the deploy still waits") {
  EngineHost host;
  host.unlock();
  const Sent sent = host.laptop.pack({});
  const auto job = host.submit(host.queue(store::JobKind::deploy, "blog", "1.0.0", sent));
  REQUIRE(host.becomes(job, JobState::waiting_upload));
  std::filesystem::copy_file(sent.file, host.paths.artifact(Digest::parse(sent.sha256).value()));
  host.engine->uploaded(sent.sha256);
  REQUIRE(host.idle());
  CHECK(host.look(job.id).state == JobState::waiting_upload);
}

TEST_CASE("the upload of another artifact wakes nobody") {
  EngineHost host;
  host.unlock();
  const Sent sent = host.laptop.pack({}), other = host.laptop.pack({.slug = "shop"});
  const auto job = host.submit(host.queue(store::JobKind::deploy, "blog", "1.0.0", sent));
  REQUIRE(host.becomes(job, JobState::waiting_upload));
  host.upload(other);
  host.engine->uploaded(other.sha256);
  REQUIRE(host.idle());
  CHECK(host.look(job.id).state == JobState::waiting_upload);
}

TEST_CASE("a deploy whose upload never comes ends as timed out, and the engine knows when to look") {
  EngineHost host;
  const auto job =
      host.submit(host.queue(store::JobKind::deploy, "blog", "1.0.0", host.laptop.pack({})));
  REQUIRE(host.becomes(job, JobState::waiting_upload));
  REQUIRE(host.idle());
  const auto left = [&] { return *host.engine->next_deadline() - host.clock.mono(); };
  REQUIRE(host.engine->next_deadline());
  CHECK(left() <= std::chrono::seconds{601});
  host.clock.sleep(std::chrono::seconds{300});
  host.engine->expire();
  REQUIRE(host.idle());
  CHECK(host.look(job.id).state == JobState::waiting_upload);
  CHECK(left() <= std::chrono::seconds{301});
  host.clock.sleep(std::chrono::seconds{301});
  host.engine->expire();
  REQUIRE(host.becomes(job, JobState::failed));
  CHECK(host.look(job.id).code == Code::timed_out);
  CHECK(exit_code(*host.look(job.id).code) == 124);
  CHECK(host.look(job.id).message.find("no upload of " + job.sha256) != std::string::npos);
  CHECK(host.engine->next_deadline() == std::nullopt);
}

TEST_CASE("[fault-98] a clock that is set by a day ends no wait for an upload, and prolongs none") {
  const auto jump = GENERATE(std::chrono::hours{24}, std::chrono::hours{-24});
  EngineHost host;
  const auto job =
      host.submit(host.queue(store::JobKind::deploy, "blog", "1.0.0", host.laptop.pack({})));
  REQUIRE(host.becomes(job, JobState::waiting_upload));
  host.clock.move(jump);
  host.engine->expire();
  REQUIRE(host.idle());
  CHECK(host.look(job.id).state == JobState::waiting_upload);
  host.clock.sleep(std::chrono::seconds{601});
  host.engine->expire();
  REQUIRE(host.becomes(job, JobState::failed));
  CHECK(host.look(job.id).code == Code::timed_out);
}

TEST_CASE("[fault-98] a clock that is set by a day in each step of a deploy changes nothing of how it ends") {
  const auto jump = GENERATE(std::chrono::hours{24}, std::chrono::hours{-24});
  LiveHost host;
  std::string step;
  host.changed = [&](const std::string& job) {
    if (host.look(job).step != step) {
      step = host.look(job).step;
      host.clock.move(jump);
    }
  };
  CHECK(host.deploy("2.0.0").state == JobState::done);
  CHECK(disagreement(host, "2.0.0") == "");
  host.runner.app("3.0.0").status = 500;
  const auto bad = host.deploy("3.0.0");
  CHECK(bad.code == Code::unhealthy); // after its deadline of two seconds
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("[fault-47] a deploy to a sealed host waits for the unlock and goes on after it") {
  EngineHost host;
  const auto job = host.submit(host.queue_deploy({}));
  REQUIRE(host.becomes(job, JobState::waiting_unlock));
  CHECK(host.told(job.id, "unseal info the host is locked: waits for `chillboxctl unlock`"));
  CHECK(host.runner.commands().empty());
  host.unlock();
  host.engine->unlocked(os::Millis{5'000});
  REQUIRE(host.becomes(job, JobState::done));
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("[fault-47] waiting survives a restart of the daemon") {
  EngineHost host;
  const auto job = host.submit(host.queue_deploy({}));
  REQUIRE(host.becomes(job, JobState::waiting_unlock));
  host.restart_daemon();
  REQUIRE(host.idle());
  CHECK(host.look(job.id).state == JobState::waiting_unlock);
  host.unlock();
  host.engine->unlocked(os::Millis{5'000});
  CHECK(host.becomes(job, JobState::done));
}

TEST_CASE("a job that waited tells its steps once") {
  EngineHost host;
  const auto job = host.submit(host.queue_deploy({}));
  REQUIRE(host.becomes(job, JobState::waiting_unlock));
  host.unlock();
  host.engine->unlocked(os::Millis{5'000});
  REQUIRE(host.becomes(job, JobState::done));
  const auto lines = host.events(job.id);
  CHECK(std::ranges::count(lines, "obtain begin ") == 1);
  CHECK(std::ranges::count(lines, "verify begin ") == 1);
}

TEST_CASE("[fault-87] a lock in the middle of a deploy lets it end whole") {
  LiveHost host;
  host.runner.app("2.0.0").building = [&](const os::Command&) { host.context().vault.lock(); };
  CHECK(host.deploy("2.0.0").state == JobState::done);
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("[fault-87] a vault that dies makes the next deploy wait, not fail") {
  LiveHost host;
  ::kill(host.context().vault.pid(), SIGKILL);
  REQUIRE(eventually([&] { return !host.context().vault.unsealed(); }));
  CHECK(host.deploy("2.0.0").state == JobState::waiting_unlock);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("the unlock starts what waited for secrets and names the sites that it started, and no other") {
  EngineHost host;
  host.unlock();
  const Order order{.services = R"([{"name":"app","lang":"python","secrets_config":"app.cfg"}])"};
  REQUIRE(host.secrets({{"app/app.cfg", "one"}}).state == JobState::done);
  REQUIRE(host.deploy(order).state == JobState::done);
  REQUIRE(host.deploy(Order{.slug = "open"}).state == JobState::done);
  host.engine.reset();
  host.reboot();
  host.start_engine();
  host.engine->recover();
  REQUIRE(host.idle());
  CHECK(host.ask() == "nobody");
  CHECK(host.ask("open") == "1.0.0");
  host.unlock();
  const auto up = host.engine->unlocked(os::Millis{10'000});
  CHECK(join(up.sites, " ") == "blog");
  CHECK(up.failed.empty());
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("a host key that was made anew: the unlock says which secret set must be sent again [fault-228]") {
  EngineHost host;
  host.unlock();
  const Order order{.services = R"([{"name":"app","lang":"python","secrets_config":"app.cfg"}])"};
  REQUIRE(host.secrets({{"app/app.cfg", "one"}}).state == JobState::done);
  REQUIRE(host.deploy(order).state == JobState::done);
  host.engine.reset();
  host.reboot();
  const auto other = crypto::AgeIdentity::generate();
  const auto sealed = must(crypto::encrypt_with_passphrase(
      other.to_text().view(), SecretBytes(bytes_of(k_passphrase)), 2));
  host.write(host.paths.identity(), text_of(sealed));
  host.write(host.paths.recipient(), other.recipient() + "\n");
  host.start_engine();
  host.engine->recover();
  REQUIRE(host.idle());
  host.unlock();
  const auto up = host.engine->unlocked(os::Millis{10'000});
  CHECK(up.sites.empty());
  CHECK(join(up.failed, "; ") ==
      cat("blog: the secret set of 'blog' is encrypted to a former key, not to this host's, ",
          other.recipient(), ": pack it again with that as --recipient, and deploy it"));
  CHECK(host.ask() == "nobody");
}

TEST_CASE("a host key that was made anew while a site runs: its secret set and what is packed for another key are named at once [fault-1142]") {
  EngineHost host;
  host.unlock();
  const Order order{.services = R"([{"name":"app","lang":"python","secrets_config":"app.cfg"}])"};
  REQUIRE(host.secrets({{"app/app.cfg", "one"}}).state == JobState::done);
  REQUIRE(host.deploy(order).state == JobState::done);
  const auto other = crypto::AgeIdentity::generate();
  const auto sealed = must(crypto::encrypt_with_passphrase(
      other.to_text().view(), SecretBytes(bytes_of(k_passphrase)), 2));
  const std::string former = host.identity.recipient();
  host.write(host.paths.identity(), text_of(sealed));
  host.write(host.paths.recipient(), other.recipient() + "\n");
  host.laptop.pack_for(other.recipient()); // the vault has the former key still
  const auto early = host.deploy("2.0.0");
  CHECK(early.code == Code::preflight);
  CHECK(early.message.find("artifact: not encrypted to " + former) != std::string::npos);
  CHECK(early.message.find("artifact: artifact: ") == std::string::npos);
  CHECK(early.message.find("`chillboxctl lock` and `unlock`") != std::string::npos);
  host.context().vault.lock();
  host.unlock();
  const auto up = host.engine->unlocked(os::Millis{10'000});
  CHECK(up.failed.empty()); // it runs
  CHECK(join(up.after_boot, "; ")
          .starts_with(
              "blog: the secret set of 'blog' is encrypted to a former key, not to this host's, "));
  CHECK(disagreement(host, "1.0.0") == "");
  host.laptop.pack_for(former);
  const auto late = host.deploy("3.0.0");
  CHECK(late.code == Code::preflight);
  CHECK(late.message.find("for a former key of this one: pack it with --recipient") !=
      std::string::npos);
}

TEST_CASE("a secret set that no release uses and nobody can open holds nothing up, now or after a boot [fault-1127]") {
  EngineHost host;
  host.unlock();
  REQUIRE(host.secrets({{"app/app.cfg", "one"}}).state == JobState::done);
  REQUIRE(host.deploy("1.0.0").state == JobState::done);
  const auto other = crypto::AgeIdentity::generate();
  const auto sealed = must(crypto::encrypt_with_passphrase(
      other.to_text().view(), SecretBytes(bytes_of(k_passphrase)), 2));
  host.write(host.paths.identity(), text_of(sealed));
  host.write(host.paths.recipient(), other.recipient() + "\n");
  host.context().vault.lock();
  host.unlock();
  const auto running = host.engine->unlocked(os::Millis{10'000});
  CHECK(running.failed.empty());
  CHECK(running.after_boot.empty());
  host.engine.reset();
  host.reboot();
  host.start_engine();
  host.engine->recover();
  REQUIRE(host.idle());
  host.unlock();
  const auto up = host.engine->unlocked(os::Millis{10'000});
  CHECK(up.failed.empty());
  CHECK(up.after_boot.empty());
  CHECK(host.ask() == "1.0.0");
}

TEST_CASE("what is asked for behind a removal, or for another site, goes on after the unlock") {
  EngineHost host;
  host.unlock();
  REQUIRE(host.deploy("1.0.0").state == JobState::done);
  host.context().vault.lock();
  const auto waiting = host.submit(host.queue_deploy({.version = "2.0.0"}));
  REQUIRE(host.becomes(waiting, JobState::waiting_unlock));
  const auto other = host.submit(host.queue_deploy({.slug = "shop"}));
  REQUIRE(host.becomes(other, JobState::waiting_unlock));
  const auto removal = host.submit(host.queue(store::JobKind::remove));
  const auto later = host.submit(host.queue_deploy({.version = "3.0.0"}));
  REQUIRE(host.becomes(removal, JobState::done));
  REQUIRE(host.becomes(later, JobState::waiting_unlock)); // asked for behind the removal
  CHECK(host.look(waiting.id).state != JobState::waiting_unlock);
  host.unlock();
  host.engine->unlocked(os::Millis{5'000});
  REQUIRE(host.becomes(later, JobState::done));
  REQUIRE(host.becomes(other, JobState::done));
  CHECK(host.runner.count("build app 2.0.0") == 0);
}

TEST_CASE("a removal cancels a deploy that waits, and says so to who follows it") {
  EngineHost host;
  host.unlock();
  REQUIRE(host.deploy("1.0.0").state == JobState::done);
  host.context().vault.lock();
  const auto waiting = host.submit(host.queue_deploy({.version = "2.0.0"}));
  REQUIRE(host.becomes(waiting, JobState::waiting_unlock));
  const auto removal = host.submit(host.queue(store::JobKind::remove));
  REQUIRE(host.becomes(removal, JobState::done));
  CHECK(host.look(waiting.id).state == JobState::cancelled);
  CHECK(host.told(waiting.id, "end the site was removed by " + removal.id));
  host.unlock();
  host.engine->unlocked(os::Millis{5'000});
  REQUIRE(host.idle());
  CHECK(must(host.store().site(site())) == std::nullopt);
}
