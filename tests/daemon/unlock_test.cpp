// The unlock: slow after wrong passphrases, counted, over a restart too.
#include "daemon/control_host.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;

TEST_CASE("an unlock opens the vault and says to whom artifacts are encrypted") {
  ControlHost host;
  const auto called = host.try_unlock();
  REQUIRE(called.code() == "ok");
  CHECK(called.json()["recipient"] == host.identity.recipient());
  CHECK(host.context().vault.unsealed());
}

TEST_CASE("[fault-75] wrong passphrases wait 1, 2, 4 ... 60 seconds, and the right one ends the counting") {
  ControlHost host;
  int failures = 0;
  for (const int seconds : {1, 2, 4, 8, 16, 32, 60, 60}) {
    const auto wrong = host.try_unlock("wrong");
    CHECK(wrong.code() == "denied");
    CHECK(exit_code(wrong.result.error().code) == 4);
    CHECK(wrong.message() ==
        cat("wrong passphrase (", ++failures, " in a row): the next try is possible in ", seconds,
            " s"));
    const auto early = host.try_unlock(); // the right one, too early
    CHECK(early.code() == "throttled");
    CHECK(early.message() ==
        cat("wrong passphrase (", failures, " in a row): wait ", seconds, " s, then try again"));
    host.clock.move(std::chrono::seconds{seconds});
  }
  CHECK(host.try_unlock().code() == "ok");
  CHECK(must(host.store().attempts(::geteuid())).failures == 0);
  CHECK(host.try_unlock("wrong").message().find("(1 in a row)") != std::string::npos);
}

TEST_CASE("[fault-75] the waiting goes on over a restart of the daemon") {
  ControlHost host;
  for (int i = 0; i < 4; ++i) {
    REQUIRE(host.try_unlock("wrong").code() == "denied");
    host.clock.move(std::chrono::seconds{i < 3 ? 60 : 0});
  }
  host.restart_all();
  CHECK(host.try_unlock().code() == "throttled");
  host.clock.move(std::chrono::seconds{8});
  CHECK(host.try_unlock().code() == "ok");
}

TEST_CASE("[fault-98] a clock that was set back does not lock the operator out") {
  ControlHost host;
  REQUIRE(host.try_unlock("wrong").code() == "denied");
  host.clock.move(-std::chrono::hours{24 * 365});
  CHECK(host.try_unlock().message() == "wrong passphrase (1 in a row): wait 1 s, then try again");
}

TEST_CASE("[fault-75] a wrong passphrase on an open host leaves it open") {
  ControlHost host;
  REQUIRE(host.try_unlock().code() == "ok");
  CHECK(host.try_unlock("wrong").code() == "denied");
  CHECK(host.context().vault.unsealed());
}

TEST_CASE("[fault-86] a connection that dies before the passphrase counts nothing and keeps nothing") {
  ControlHost host;
  {
    const Fd fd = host.connect();
    must(control::write_frame(fd.get(), control::request_text("unlock", {})));
  }
  host.op.reset(); // waits until the connection's thread has ended
  host.open();
  CHECK(must(host.store().attempts(::geteuid())).failures == 0);
  CHECK_FALSE(host.context().vault.unsealed());
}

TEST_CASE("a host without an identity says which command makes one") {
  ControlHost host;
  std::filesystem::remove(host.paths.identity());
  const auto called = host.try_unlock();
  CHECK(called.code() == "not_found");
  CHECK(called.message().ends_with("`chillboxctl init` makes it"));
}

TEST_CASE("a damaged identity is corrupt, not a wrong passphrase, and is not counted") {
  ControlHost host;
  host.write(host.paths.identity(), "age-encryption.org/v1\nnonsense\n");
  CHECK(host.try_unlock().code() == "corrupt");
  CHECK(must(host.store().attempts(::geteuid())).failures == 0);
}

TEST_CASE("lock wipes the identity, services go on, and the next deploy waits") {
  ServingHost host;
  const auto called = host.call("lock");
  REQUIRE(called.code() == "ok");
  CHECK(called.json()["was_unsealed"] == true);
  CHECK_FALSE(host.context().vault.unsealed());
  CHECK(host.ask() == "2.0.0");
  CHECK(host.deploy("3.0.0").state == JobState::waiting_unlock);
  CHECK(host.call("lock").json()["was_unsealed"] == false);
}

TEST_CASE("a vault that ends after a lock and an unlock is not taken for one that was locked [fault-1079]") {
  ServingHost host;
  REQUIRE(host.call("lock").code() == "ok");
  REQUIRE(host.try_unlock().code() == "ok");
  CHECK_FALSE(host.op->locked());
  REQUIRE(host.call("lock").code() == "ok");
  CHECK(host.op->locked());
}

TEST_CASE("[fault-83] an unlock after a reboot names the sites that came up by it") {
  ControlHost host;
  host.unlock();
  REQUIRE(host.secrets({{"app/app.cfg", "one"}}).state == JobState::done);
  REQUIRE(host.deploy(Order{.services =
                                R"([{"name":"app","lang":"python","secrets_config":"app.cfg"}])"})
              .state == JobState::done);
  host.restart_all(true);
  CHECK(host.ask() == "nobody");
  const auto called = host.try_unlock();
  REQUIRE(called.code() == "ok");
  CHECK(called.json()["sites"] == Json({"blog"}));
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("unlocks stand in the audit trail with who asked, wrong ones too, and never with the passphrase") {
  ControlHost host;
  REQUIRE(host.try_unlock("hunter2 hunter2").code() == "denied");
  host.clock.move(std::chrono::seconds{1});
  REQUIRE(host.try_unlock().code() == "ok");
  const auto entries = must(host.store().audit_entries(10));
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].verb == "unlock");
  CHECK(entries[0].outcome == "ok");
  CHECK(entries[1].outcome == "denied");
  CHECK(entries[1].actor.starts_with(cat("uid:", ::geteuid(), " ")));
  for (const auto& entry : entries)
    CHECK(entry.text.find("hunter2") == std::string::npos);
  must(host.store().verify_audit());
}
