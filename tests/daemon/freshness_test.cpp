// The attacks that The Update Framework is made against, as far as one deployer and one host can
// meet them: fifty generated artifacts for each, announced by a valid webhook, uploaded, and
// verified as the host always does it. Whoever sends them has a webhook key and everything that was
// ever signed, and no deployer's key. Nothing may be installed, and each is told why in its own
// words.
#include "daemon/intake_host.hpp"
#include "report.hpp"

#include <set>

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;

namespace {

constexpr int k_each = 50;
constexpr uint64_t k_installed = 5'000'000;

// Serves 1.0.0 of "blog" with the serial above.
struct FreshHost : IntakeHost {
  FreshHost() {
    config.ratio_max = 200;
    unlock();
    const auto job = send_all(pack({.version = "1.0.0", .serial = k_installed}), "1.0.0");
    INFO(job.message);
    REQUIRE(job.state == JobState::done);
  }

  // Every artifact has bytes that no other has.
  Sent pack(Order order) {
    order.files["app/random"] = random_token(64);
    return laptop.pack(order);
  }
  std::string announce(const Sent& sent, const std::string& version) {
    const auto reply =
        hook({.body = deploy_body(sent, "blog", version), .id = cat("msg_", ++m_sent)});
    REQUIRE(reply.status == 202);
    return reply.body["job"];
  }
  // The job when it has ended.
  store::Job send_all(const Sent& sent, const std::string& version) {
    const std::string job = announce(sent, version);
    REQUIRE(put(sent.sha256, "minisig", cap(job), sent.signature).status == 201);
    REQUIRE(put(sent.sha256, "artifact", cap(job), sent.file).status == 201);
    REQUIRE(eventually([&] { return look(job).finished_ms != 0; }));
    return look(job);
  }
  // The job, whose upload was refused, and the answer.
  Reply send_more(const Sent& sent, const std::string& version, bool as_announced) {
    const std::string job = announce(sent, version);
    REQUIRE(put(sent.sha256, "minisig", cap(job), sent.signature).status == 201);
    auto begun = begin(sent.sha256, "artifact", cap(job),
        as_announced ? sent.size : sent.size + (uint64_t{1} << 40));
    if (begun.status != 200)
      return begun;
    (void)(os::write_all( // the monitor takes no more than was announced
        begun.fd.get(), bytes_of(must(disk.read(sent.file, 1 << 24)) + std::string(1 << 20, 'x'))));
    return ask(PacketVerb::upload_done, {begun.ticket, "ok"});
  }
  bool unchanged() {
    const std::string wrong = disagreement(*this, "1.0.0");
    INFO(wrong);
    CHECK(wrong == "");
    CHECK(must(store().releases(site())).size() == 1);
    CHECK(must(store().serial(site(), "site")) == k_installed);
    CHECK_FALSE(must(store().site(site("shop"))));
    return wrong.empty();
  }

private:
  int m_sent = 0;
};

// What was said, and whether it is what this attack must be told.
struct Said {
  std::string text;
  std::string wanted;
};

Said said(const store::Job& job, Code code, std::string wanted) {
  CHECK(job.state == JobState::failed);
  CHECK(job.code == code);
  return {job.message, std::move(wanted)};
}

std::string version_of(int i) {
  return cat("2.", i, ".0");
}

Said older(FreshHost& host, int i) {
  const auto sent =
      host.pack({.version = version_of(i), .serial = k_installed - static_cast<uint64_t>(i)});
  return said(host.send_all(sent, version_of(i)), Code::denied,
      i == 0 ? "is not newer than installed 5000000" : "is older than installed 5000000");
}

// Parts that were each signed, put together as nobody signed them.
Said mixed(FreshHost& host, int i) {
  const std::string version = version_of(i);
  if (i % 3 == 0) { // the signature of another release of the same site
    auto sent = host.pack({.version = version, .serial = k_installed + 10});
    sent.signature = host.pack({.version = version, .serial = k_installed + 11}).signature;
    return said(host.send_all(sent, version), Code::denied, "does not match this file");
  }
  if (i % 3 == 1) { // another site's content
    const auto sent = host.pack(
        {.slug = "shop", .version = version, .serial = k_installed + 12, .signed_site = "blog"});
    return said(
        host.send_all(sent, version), Code::invalid, "must have one top folder 'blog', has: shop");
  }
  const auto sent = host.pack({.version = version,
      .serial = k_installed + 13,
      .signed_version = "3.0.0"}); // another version's
  return said(host.send_all(sent, "3.0.0"), Code::denied,
      cat("says version ", version, ", the signature says 3.0.0"));
}

Said wrong_site(FreshHost& host, int i) {
  const auto sent =
      host.pack({.slug = "shop", .version = version_of(i), .serial = k_installed + 20});
  return said(
      host.send_all(sent, version_of(i)), Code::denied, "signed for site 'shop', wanted 'blog'");
}

// More than was announced, said or unsaid; or as announced, and without end when it is unpacked.
Said endless(FreshHost& host, int i) {
  if (i % 3 < 2) {
    const auto sent = host.pack({.version = version_of(i), .serial = k_installed + 30});
    const auto reply = host.send_more(sent, version_of(i), i % 3 == 0);
    CHECK(reply.status == 413);
    CHECK_FALSE(host.disk.exists(host.paths.artifact(Digest::parse(sent.sha256).value())));
    CHECK(must(host.disk.list(host.paths.inbox())).empty());
    return {reply.body["error"]["message"],
        i % 3 == 0 ? "bytes that the edge announced" : "bytes that were announced"};
  }
  Order order{.version = version_of(i), .serial = k_installed + 31};
  order.files["app/zeros"] = std::string(65 << 20, '\0'); // a ratio says nothing below 64 MiB
  return said(host.send_all(host.pack(order), version_of(i)), Code::too_large, "times");
}

Said fast_forward(FreshHost& host, int i) {
  const uint64_t serial = i == 0 ? INT64_MAX : k_installed + 1'000'000 + (uint64_t{1} << i);
  return said(host.send_all(host.pack({.version = version_of(i), .serial = serial}), version_of(i)),
      Code::busy, "held: serial");
}

Said expired(FreshHost& host, int i) {
  const int64_t then = host.clock.wall() - (int64_t{i} * i * 1000);
  const auto sent =
      host.pack({.version = version_of(i), .serial = k_installed + 40, .expires = then});
  return said(host.send_all(sent, version_of(i)), Code::denied, "expired 20");
}

struct Attack {
  const char* name;
  Said (*run)(FreshHost&, int);
};
constexpr Attack k_attacks[] = {{"older artifact", older}, {"mix and match", mixed},
    {"wrong site", wrong_site}, {"endless data", endless}, {"fast forward", fast_forward},
    {"expired", expired}};

} // namespace

TEST_CASE("[fault-37] [fault-38] [fault-39] [fault-40] [fault-42] 50 artifacts of each attack on freshness: none is installed, each is told why") {
  FreshHost host;
  std::map<std::string, std::set<std::string>> told; // what is told, by whom
  for (const auto& attack : k_attacks) {
    for (int i = 0; i < k_each; ++i) {
      const auto [text, wanted] = attack.run(host, i);
      INFO(attack.name << " " << i << ": " << text);
      const bool own = text.find(wanted) != std::string::npos && host.row().live == "1.0.0-1";
      CHECK(own);
      told[wanted].insert(attack.name);
      report(own, "refused", cat(attack.name, " ", i));
    }
    INFO(attack.name);
    CHECK(host.unchanged());
  }
  for (const auto& [text, attacks] : told) {
    INFO(text);
    CHECK(attacks.size() == 1); // no two attacks are told the same
  }
  // The host is no wall: what is right is installed, and its serial counts from then on.
  const auto good =
      host.send_all(host.pack({.version = "9.0.0", .serial = k_installed + 1}), "9.0.0");
  INFO(good.message);
  CHECK(good.state == JobState::done);
  CHECK(must(host.store().serial(site(), "site")) == k_installed + 1);
  report(good.state == JobState::done, "passed", "a newer artifact of the site is installed");
}
