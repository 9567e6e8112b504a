// The verbs of certificates, without a CA: what they answer to whom, and how they wait.
#include "daemon/control_host.hpp"

#include <algorithm>
#include <mutex>

using namespace chillbox;
using namespace chillbox::test;
using control::Certificate;
using control::CertificateState;

namespace {

// What the room of certificates would know.
struct Known {
  std::mutex mutex;
  std::vector<Certificate> rows{
      {.id = "blog", .site = "blog", .state = CertificateState::valid, .sha256 = "old"},
      {.id = "_host", .site = "_host", .state = CertificateState::waiting}};
  // What an order does to the row, a while after it was asked for.
  std::function<void(Certificate&)> order = [](Certificate&) {};
  Result<void> refusal;
  int looks = 0;
  std::vector<std::string> asked;

  void say(std::string_view verb, const std::string& owner, bool staging = false) {
    asked.push_back(cat(verb, " ", owner, staging ? " staging" : ""));
  }
};

daemon::CertificateRequests requests(Known& k) {
  return {.all = [&k]() -> Result<std::vector<Certificate>> {
            const std::lock_guard lock(k.mutex);
            if (k.looks++ == 2)
              k.order(k.rows[0]);
            return k.rows;
          },
      .check = [&k](const std::string& owner) -> Result<control::CertificateCheck> {
        k.say("check", owner);
        return control::CertificateCheck{.site = owner, .ready = true, .probes = {}};
      },
      .renew = [&k](const std::string& owner, bool staging) -> Result<control::CertificateRenewal> {
        TRY(k.refusal);
        k.say("renew", owner, staging);
        return control::CertificateRenewal{k.rows[0], staging, std::nullopt};
      },
      .revoke = [&k](const std::string& owner) -> Result<Certificate> {
        k.say("revoke", owner);
        return k.rows[0];
      },
      .account = []() -> Result<control::AcmeAccount> {
        return control::AcmeAccount{.ca = "https://ca.example/dir"};
      }};
}

std::string newest_entry(ControlHost& host) {
  const auto entry = must(host.store().audit_entries(1)).at(0);
  return cat(entry.verb, " ", entry.site, " ", entry.text, " ", entry.outcome);
}

} // namespace

TEST_CASE("tls answers with all certificates, or with those of one site") {
  Known known;
  ControlHost host(requests(known));
  CHECK(host.call("tls").json()["certificates"].size() == 2);
  const auto one = host.call("tls", {{"site", "_host"}}).json()["certificates"];
  REQUIRE(one.size() == 1);
  CHECK(one[0]["state"] == "waiting");
  CHECK(host.call("tls", {{"site", "shop"}}).code() == "not_found");
  CHECK(host.call("tls_account").json()["ca"] == "https://ca.example/dir");
}

TEST_CASE("what is no site's name reaches nothing") {
  Known known;
  ControlHost host(requests(known));
  for (const char* verb : {"tls", "tls_check", "tls_renew", "tls_revoke"})
    for (const char* site : {"", "../blog", "_other", "_host.wildcard", "a b"})
      CHECK(host.call(verb, {{"site", site}}).code() == "invalid");
  for (const char* verb : {"tls_check", "tls_renew", "tls_revoke"}) {
    CHECK(host.call(verb).code() == "invalid");
    CHECK(host.call(verb, {{"site", "shop"}}).code() == "not_found");
  }
  CHECK(known.asked.empty());
}

TEST_CASE("a renewal is awaited: the new certificate is the answer, and it is in the audit trail") {
  Known known;
  known.order = [](Certificate& c) { c.sha256 = "new"; };
  ControlHost host(requests(known));
  const auto called = host.call("tls_renew", {{"site", "blog"}});
  CHECK(called.json()["certificate"]["sha256"] == "new");
  CHECK(known.asked == std::vector<std::string>{"renew blog"});
  CHECK(newest_entry(host) == "tls_renew blog  ok");
}

TEST_CASE("an order that fails, or that finds the host not reached, is the error of its renewal") {
  struct Row {
    CertificateState state;
    std::string_view code;
  };
  for (const Row& row :
      {Row{CertificateState::backing_off, "failure"}, Row{CertificateState::attention, "failure"},
          Row{CertificateState::waiting, "preflight"}}) {
    Known known;
    known.order = [&](Certificate& c) {
      c.state = row.state;
      c.failures = 1;
      c.problem = "the CA says no";
    };
    ControlHost host(requests(known));
    const auto called = host.call("tls_renew", {{"site", "blog"}});
    CHECK(called.code() == row.code);
    CHECK(called.message() == "blog: the CA says no");
  }
}

TEST_CASE("a certificate that goes meanwhile ends the wait") {
  Known known;
  known.order = [](Certificate& c) { c.id = "blog.wildcard"; };
  ControlHost host(requests(known));
  CHECK(host.call("tls_renew", {{"site", "blog"}}).code() == "not_found");
}

TEST_CASE("a renewal that is too early, or not awaited, or a trial, is answered at once") {
  Known known;
  ControlHost host(requests(known));
  CHECK(host.call("tls_renew", {{"site", "blog"}, {"wait", false}}).code() == "ok");
  CHECK(host.call("tls_renew", {{"site", "blog"}, {"staging", true}}).json()["staging"] == true);
  CHECK(newest_entry(host) == "tls_renew blog --staging ok");
  CHECK(known.asked == std::vector<std::string>{"renew blog", "renew blog staging"});
  known.refusal = fail(Code::throttled, "blog: not before 2026-11-20T17:33:34Z");
  const auto called = host.call("tls_renew", {{"site", "blog"}});
  CHECK(called.code() == "throttled");
  CHECK(newest_entry(host) == "tls_renew blog blog: not before 2026-11-20T17:33:34Z throttled");
}

TEST_CASE("who revokes is in the audit trail; who only looks is not") {
  Known known;
  ControlHost host(requests(known));
  const size_t before = must(host.store().audit_entries(100)).size();
  CHECK(host.call("tls_check", {{"site", "blog"}}).json()["ready"] == true);
  CHECK(must(host.store().audit_entries(100)).size() == before);
  CHECK(host.call("tls_revoke", {{"site", "blog"}}).code() == "ok");
  CHECK(newest_entry(host) == "tls_revoke blog  ok");
}

TEST_CASE("status carries the certificates") {
  Known known;
  ControlHost host(requests(known));
  CHECK(host.call("status").json()["certificates"].size() == 2);
}
