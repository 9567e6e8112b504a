// One host of a fleet orders a certificate, and the others take it, by an engine whose owner may do
// what he likes.
#include "control/messages.hpp"
#include "control/rollout.hpp"
#include "crypto/hash.hpp"
#include "crypto/minisign.hpp"
#include "daemon/memory_engine.hpp"
#include "tls/tls_host.hpp"

using namespace chillbox;
using namespace chillbox::test;

namespace {

constexpr std::string_view k_for = "chillbox certificate";

std::string signed_by(const crypto::MinisignSecretKey& key, const std::string& text,
    std::string_view purpose = k_for) {
  crypto::Blake2b512 blake2b;
  blake2b.update(bytes_of(text));
  return dump(control::to_json(control::SignedReport{text, key.sign(blake2b.finish(), purpose)}));
}

std::string problem_of(TlsHost& host) {
  return host.record().facts.problem;
}

// A certificate for these names that nobody of the fleet ordered, with its key.
std::string another_pem(
    TlsHost& host, const std::vector<std::string>& names, int64_t from_ms, int64_t until_ms) {
  const auto key = crypto::make_certificate_key();
  const auto csr = must(crypto::make_certificate_request(key, names));
  return std::string(key) +
      host.engine.ca.issue(csr, {.names = names, .from_ms = from_ms, .until_ms = until_ms});
}

std::string sealed_to(const std::vector<std::string>& recipients, const std::string& text) {
  Bytes out;
  auto writer =
      must(crypto::AgeWriter::to_recipients(recipients, [&](ByteView bytes) -> Result<void> {
        out.insert(out.end(), bytes.begin(), bytes.end());
        return {};
      }));
  must(writer.write(bytes_of(text)));
  must(writer.finish());
  return base64(out);
}

struct SharingFleet {
  struct Member {
    explicit Member(std::string n) : name(std::move(n)) {}
    std::string name;
    crypto::MinisignSecretKey key = crypto::MinisignSecretKey::generate();
    TlsHost host;
    bool in_roster = true;
  };
  explicit SharingFleet(size_t count = 3) {
    for (size_t i = 0; i < count; ++i)
      add();
  }
  Member& add() {
    members.push_back(std::make_unique<Member>(cat("web", members.size() + 1)));
    Member& m = *members.back();
    m.host.locked = false;
    m.host.sharing = {.engine = &engine,
        .hosts = [this, &m](const std::string&) { return hosts(m); },
        .sign = [&m](const std::string& text) { return signed_by(m.key, text); },
        .text_of = [this](const std::string& host,
                       const std::string& text) { return text_of(host, text); }};
    m.host.begin();
    engine.follow("certs/", [&m] {
      if (m.host.certificates)
        m.host.certificates->fleet_news();
    });
    if (members.size() > 1) // its clock is that of the others
      m.host.clock.pass(members.front()->host.clock.mono().count() - m.host.clock.mono().count());
    return m;
  }
  Result<tls::SharingHosts> hosts(const Member& of) const {
    if (!roster_problem.empty())
      return fail(Code::denied, roster_problem);
    tls::SharingHosts all{.me = of.name, .all = {}};
    for (const auto& one : members)
      if (one->in_roster)
        all.all.push_back({one->name, one->host.identity->recipient()});
    return of.in_roster ? Result<tls::SharingHosts>(all) : fail(Code::not_found, "it is none");
  }
  Result<std::string> text_of(const std::string& host, const std::string& text) const {
    const auto both = TRY(control::parse_signed_report(text, 64 * 1024));
    for (const auto& one : members)
      if (one->name == host && one->in_roster) {
        crypto::Blake2b512 blake2b;
        blake2b.update(bytes_of(both.report));
        const auto signature = TRY(crypto::MinisignSignature::parse(both.signature));
        const auto purpose = TRY(signature.verify(one->key.public_key(), blake2b.finish()));
        return purpose == k_for ? Result<std::string>(both.report)
                                : fail(Code::denied, "signed for another purpose");
      }
    return fail(Code::denied, "no host of that name");
  }

  TlsHost& at(size_t number) { return members[number - 1]->host; }
  void deploy(const std::vector<std::string>& names = {"blog.example"}) {
    for (auto& one : members)
      one->host.deploy(names);
  }
  void pass(int64_t ms, int64_t step = k_minute) {
    for (int64_t left = ms; left > 0; left -= step) {
      for (auto& one : members)
        if (one->host.certificates)
          one->host.pass(std::min(left, step));
      settle();
    }
  }
  void settle() {
    for (int turn = 0; turn < 2; ++turn)
      for (auto& one : members)
        if (one->host.certificates)
          one->host.certificates->tick();
  }
  size_t orders() const {
    size_t all = 0;
    for (const auto& one : members)
      all += one->host.engine.orders.size();
    return all;
  }
  // That all serve, "": not all the same.
  std::string served() {
    std::set<std::string> all;
    for (auto& one : members)
      all.insert(one->host.loaded["blog"]);
    return all.size() == 1 ? *all.begin() : "";
  }
  size_t issuer() const { // its number
    for (size_t i = 0; i < members.size(); ++i)
      if (!members[i]->host.engine.orders.empty())
        return i + 1;
    return 0;
  }
  std::string bundle_key() {
    for (const auto& key : engine.keys())
      if (key.starts_with("certs/"))
        return key;
    return "";
  }
  std::vector<std::string> recipients() const {
    std::vector<std::string> all;
    for (const auto& one : members)
      all.push_back(one->host.identity->recipient());
    return all;
  }
  // Of the names of its first site.
  static std::string claim_key(const std::string& names = "blog.example") {
    return cat("claims/blog/certs/", crypto::sha256_of(bytes_of(names)).str().substr(0, 32));
  }
  // A host of the roster signs that it ordered this one, now, for all.
  void put_signed(size_t number, const std::string& pem) {
    auto one = bundle();
    one["host"] = members[number - 1]->name;
    one["sealed"] = sealed_to(recipients(), pem);
    one["not_before_ms"] = members.front()->host.clock.wall_ms();
    one["sha256"] = std::string(64, 'a');
    engine.put(bundle_key(), signed_by(members[number - 1]->key, dump(one)));
  }
  // The same machine, set up again: with another identity and nothing of what it had.
  TlsHost& set_up_again(size_t number) {
    auto& old = *members[number - 1];
    old.in_roster = false;
    old.host.certificates.reset();
    const std::string name = old.name;
    auto& fresh = add();
    fresh.name = name;
    std::swap(members[number - 1], members.back());
    roster_changed();
    return members[number - 1]->host;
  }
  void roster_changed() {
    for (auto& one : members)
      if (one->host.certificates)
        one->host.certificates->fleet_changed();
  }
  Json bundle() {
    const auto both = must(control::parse_signed_report(engine.text(bundle_key()), 64 * 1024));
    return parse_json(both.report, 64 * 1024).value();
  }

  MemoryEngine engine;
  std::vector<std::unique_ptr<Member>> members;
  std::string roster_problem;
};

} // namespace

TEST_CASE("one host orders for the fleet, the others take it, and each says whose it is") {
  SharingFleet fleet;
  fleet.deploy();
  fleet.pass(3 * k_minute);
  CHECK(fleet.orders() == 1);
  REQUIRE_FALSE(fleet.served().empty());
  const size_t issuer = fleet.issuer();
  for (size_t i = 1; i <= 3; ++i) {
    auto& host = fleet.at(i);
    CHECK(host.state() == "valid");
    CHECK(problem_of(host).empty());
    CHECK(host.file_is_good(host.file()));
    CHECK((std::filesystem::status(host.file()).permissions() & std::filesystem::perms::all) ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
    const auto shown = must(host.certificates->all()).front();
    CHECK(shown.by_fleet);
    CHECK(shown.issued_by == (i == issuer ? "" : cat("web", issuer)));
    CHECK(host.record().key == fleet.at(issuer).record().key);
  }
  // A certificate, and that one was issued: the claim is over.
  CHECK(fleet.engine.keys().size() == 2);
  const auto kept = fleet.engine.kept(fleet.bundle_key()); // until it ends
  CHECK((kept >= std::chrono::days{45} && kept <= std::chrono::days{46}));
  CHECK(fleet.engine.kept(fleet.engine.keys().back()) == std::chrono::days{7});
}

TEST_CASE("[attack-G56] of a balanced site the balancers share, of another one the other hosts, and each needs a key to sign with") {
  const control::Roster roster{.fleet = "shop",
      .epoch = 1,
      .hosts = {{"web1", "10.0.0.1", "age1one", {}, "key1"},
          {"web2", "10.0.0.2", "age1two", {}, ""},
          {"front", "10.0.0.9", "age1front", {"balancer"}, "key9"}},
      .balanced = {{"blog", {"blog.example"}, 0}}};
  const auto names = [&](const std::string& me, const std::string& of) {
    const auto hosts = tls::sharing_hosts(roster, me, of);
    return hosts ? join(hosts->names(), " ") : std::string(code_name(hosts.error().code));
  };
  CHECK(names("front", "blog") == "front");
  CHECK(names("web1", "blog") == "not_found");
  CHECK(names("web1", "shop") == "web1 web2");
  CHECK(names("front", "shop") == "not_found");
  CHECK(names("web2", "shop") == "denied");
  CHECK(names("web9", "shop") == "not_found");
}

TEST_CASE("[attack-G59] the engine has no key in it that can be read") {
  SharingFleet fleet;
  fleet.deploy();
  fleet.pass(3 * k_minute);
  const std::string key = fleet.at(1).record().key;
  REQUIRE(says(key, "PRIVATE KEY"));
  const std::string line = key.substr(key.find('\n') + 1, 40);
  for (const auto& name : fleet.engine.keys()) {
    CHECK_FALSE(says(fleet.engine.text(name), "PRIVATE"));
    CHECK_FALSE(says(fleet.engine.text(name), line));
  }
}

TEST_CASE("it is renewed once, by the host that ordered it, whose renewals no limit holds for") {
  SharingFleet fleet;
  fleet.deploy();
  fleet.pass(3 * k_minute);
  const size_t issuer = fleet.issuer();
  const auto first = fleet.served();
  fleet.pass(31 * k_day, k_hour);
  CHECK(fleet.orders() == 2);
  CHECK(fleet.at(issuer).engine.orders.size() == 2);
  CHECK_FALSE(fleet.at(issuer).engine.orders.back().at("replaces").is_null());
  CHECK_FALSE(fleet.served().empty());
  CHECK(fleet.served() != first);
}

TEST_CASE("the host that ordered it is gone: an hour later another one renews it, for all") {
  SharingFleet fleet;
  fleet.deploy();
  fleet.pass(3 * k_minute);
  const size_t issuer = fleet.issuer();
  fleet.at(issuer).certificates.reset();
  fleet.pass(30 * k_day + 2 * k_hour, k_hour);
  const size_t other = issuer == 1 ? 2 : 1;
  CHECK(fleet.orders() == 2);
  CHECK(fleet.at(issuer).engine.orders.size() == 1);
  // Another account's certificate is not replaced.
  for (size_t i = 1; i <= 3; ++i)
    if (i != issuer && !fleet.at(i).engine.orders.empty())
      CHECK(fleet.at(i).engine.orders.back().at("replaces").is_null());
  CHECK(fleet.at(other).loaded["blog"] != fleet.at(issuer).loaded["blog"]);
}

TEST_CASE("who claimed it dies before it gives it to the others: another one orders once the claim is over [fault-902]") {
  SharingFleet fleet;
  fleet.at(1).engine.before_answer = [&] { throw std::runtime_error("killed"); };
  fleet.at(1).deploy({"blog.example"});
  fleet.at(1).pass(k_minute);
  fleet.at(1).certificates.reset();
  fleet.at(2).deploy({"blog.example"});
  fleet.at(3).deploy({"blog.example"});
  fleet.pass(5 * k_minute);
  CHECK(fleet.orders() == 1);
  CHECK(says(problem_of(fleet.at(2)), "web1 orders it for the fleet"));
  for (const auto& key : fleet.engine.keys())
    CHECK(fleet.engine.kept(key) == std::chrono::minutes{10});
  fleet.engine.expire("claims/");
  fleet.pass(3 * k_minute);
  CHECK(fleet.orders() == 2);
  CHECK(fleet.at(2).loaded["blog"] == fleet.at(3).loaded["blog"]);
  CHECK_FALSE(fleet.at(2).loaded["blog"].empty());
}

TEST_CASE("a daemon that ends during its order goes on with its own claim") {
  SharingFleet fleet;
  fleet.at(1).engine.problems.push_back(
      {{"ok", false}, {"problem", {{"type", "interrupted"}, {"detail", "ended"}}}});
  fleet.at(1).deploy({"blog.example"});
  fleet.at(1).pass(10'000);
  REQUIRE(fleet.engine.keys().size() == 1); // its claim
  fleet.at(1).begin();
  fleet.pass(3 * k_minute);
  CHECK(fleet.at(1).state() == "valid");
  CHECK(fleet.engine.keys().size() == 2);
}

TEST_CASE("an answer that got lost after the claim was made is no other host's claim [fault-903]") {
  SharingFleet fleet(1);
  fleet.engine.lose_answer("claims/");
  fleet.deploy();
  fleet.pass(3 * k_minute);
  CHECK(fleet.at(1).state() == "valid");
  CHECK(fleet.orders() == 1);
}

TEST_CASE("a host whose order fails says so to the others, which try after a quarter of an hour [fault-904]") {
  SharingFleet fleet;
  fleet.at(1).engine.problems.push_back(problem("connection", "no route", "blog.example"));
  fleet.at(1).deploy({"blog.example"});
  fleet.at(1).pass(10'000);
  fleet.at(2).deploy({"blog.example"});
  fleet.pass(2 * k_minute);
  CHECK(fleet.orders() == 1);
  CHECK(says(problem_of(fleet.at(2)), "web1 could not order it for the fleet: no route"));
  CHECK(fleet.at(2).record().facts.failures == 1); // however often it looks
  CHECK(fleet.engine.kept(fleet.engine.keys().front()) == std::chrono::minutes{15});
  fleet.engine.expire("claims/");
  fleet.pass(3 * k_minute);
  CHECK(fleet.orders() == 2);
  CHECK(fleet.at(1).loaded["blog"] == fleet.at(2).loaded["blog"]);
}

TEST_CASE("[attack-G56] what no host of the roster signed for this purpose is not taken, and is recorded once an hour") {
  SharingFleet fleet;
  fleet.deploy();
  fleet.pass(3 * k_minute);
  const std::string served = fleet.served(), key = fleet.bundle_key();
  auto& web2 = fleet.at(2);
  const int64_t now = web2.clock.wall_ms();
  const auto recipients = fleet.recipients();
  Json forged = fleet.bundle();
  const std::string pem = another_pem(web2, {"blog.example"}, now, now + 80 * k_day);
  forged["not_before_ms"] = now + k_hour;
  forged["sha256"] = std::string(64, 'a');
  forged["sealed"] = sealed_to(recipients, pem);
  const auto stranger = crypto::MinisignSecretKey::generate();
  const auto& own = fleet.members[0]->key;
  Json of_none = forged;
  of_none["host"] = "web9";
  Json of_other = forged;
  of_other["host"] = "web3";
  for (const std::string& text :
      {signed_by(stranger, dump(forged)), signed_by(own, dump(forged), "chillbox report"),
          signed_by(own, dump(of_none)), signed_by(own, dump(of_other)), dump(forged),
          std::string("{}"), std::string(), std::string("\xff\xfe"), std::string(60'000, '[')}) {
    fleet.engine.put(key, text);
    fleet.pass(2 * k_minute);
    CHECK(fleet.served() == served);
  }
  CHECK(fleet.orders() == 1);
  int64_t records = 0; // by who saw it before it was put right
  for (auto& one : fleet.members) {
    const auto trail = must(one->host.store->audit_entries(1'000));
    const auto of_this =
        std::ranges::count(trail, std::string("fleet engine"), &store::AuditEntry::actor);
    CHECK(of_this <= 1);
    records += of_this;
  }
  CHECK(records >= 1);
}

TEST_CASE("[attack-G57] a certificate of a host of the fleet for other names, or signed for other names, is not taken") {
  SharingFleet fleet;
  fleet.deploy();
  fleet.pass(3 * k_minute);
  const std::string served = fleet.served(), key = fleet.bundle_key();
  auto& web2 = fleet.at(2);
  const int64_t now = web2.clock.wall_ms();
  const auto recipients = fleet.recipients();
  const auto& own = fleet.members[0]->key;
  const auto with = [&](const std::vector<std::string>& names, const Json& more) {
    Json forged = fleet.bundle();
    forged["host"] = "web1";
    forged["key"] = key;
    forged["not_before_ms"] = now + k_hour;
    forged["sha256"] = std::string(64, 'a');
    forged["sealed"] = sealed_to(recipients, another_pem(web2, names, now, now + 80 * k_day));
    forged.update(more);
    return signed_by(own, dump(forged));
  };
  const std::vector<std::string> attempts{with({"evil.example"}, Json::object()),
      with({"blog.example", "evil.example"}, Json::object()), with({"*.example"}, Json::object()),
      with({"blog.example"}, {{"key", "certs/blog/0"}}),
      with({"blog.example"}, {{"sealed", sealed_to(recipients, "no certificate")}}),
      with({"blog.example"},
          {{"sealed",
              sealed_to(recipients,
                  std::string(crypto::make_certificate_key()) + // another key than the chain's
                      web2.record().chain)}})};
  for (const auto& text : attempts) {
    fleet.engine.put(key, text);
    fleet.pass(5'000, 5'000);
    CHECK(web2.loaded["blog"] == served);
    CHECK(fleet.at(3).loaded["blog"] == served);
  }
}

TEST_CASE("[attack-G58] an older or an expired one that was signed once is not taken again; who ordered the newer one brings it back") {
  SharingFleet fleet;
  fleet.deploy();
  fleet.pass(3 * k_minute);
  const std::string key = fleet.bundle_key(), old = fleet.engine.text(key);
  fleet.pass(31 * k_day, k_hour);
  REQUIRE(fleet.orders() == 2);
  const std::string served = fleet.served();
  const std::string newer = fleet.engine.text(key);
  fleet.engine.put(key, old);
  fleet.settle();
  CHECK(fleet.served() == served);
  fleet.pass(2 * k_hour, k_hour);
  CHECK(fleet.served() == served);
  CHECK(fleet.bundle().at("sha256") == served);
  // A host that has none takes none that is over.
  auto& web4 = fleet.add().host;
  fleet.roster_problem = "it does not count"; // it cannot order by the fleet
  web4.clock.pass(20 * k_day);
  fleet.roster_problem.clear();
  fleet.engine.put(key, old);
  web4.engine.problems.push_back(problem("connection"));
  web4.deploy({"blog.example"});
  CHECK(web4.loaded["blog"].empty());
}

TEST_CASE("[attack-G61] a host that was taken out of the roster is not believed any more, and orders its own") {
  SharingFleet fleet;
  fleet.deploy();
  fleet.pass(3 * k_minute);
  const std::string served = fleet.served(), key = fleet.bundle_key();
  auto& removed = *fleet.members[2];
  removed.in_roster = false;
  const int64_t now = removed.host.clock.wall_ms();
  std::vector<std::string> recipients{
      fleet.at(1).identity->recipient(), fleet.at(2).identity->recipient()};
  Json forged = fleet.bundle();
  forged["host"] = "web3";
  forged["not_before_ms"] = now + k_hour;
  forged["sha256"] = std::string(64, 'a');
  forged["sealed"] =
      sealed_to(recipients, another_pem(removed.host, {"blog.example"}, now, now + 80 * k_day));
  fleet.engine.put(key, signed_by(removed.key, dump(forged)));
  fleet.pass(5'000, 5'000);
  CHECK(fleet.at(1).loaded["blog"] == served);
  CHECK(fleet.at(2).loaded["blog"] == served);
  removed.host.certificates->fleet_changed();
  removed.host.engine.orders.clear();
  fleet.pass(32 * k_day, k_hour);
  CHECK(removed.host.engine.orders.size() >= 1);
  CHECK(removed.host.state() == "valid");
  CHECK(fleet.at(1).loaded["blog"] == fleet.at(2).loaded["blog"]);
  CHECK(fleet.at(1).loaded["blog"] != removed.host.loaded["blog"]);
}

TEST_CASE("[attack-G60] the engine is away from the first deploy on: hosts order their own, one after the other [fault-905]") {
  SharingFleet fleet(6);
  fleet.engine.down(true);
  fleet.deploy();
  fleet.pass(9 * k_minute);
  CHECK(fleet.orders() == 0);
  CHECK(says(problem_of(fleet.at(1)),
      "no majority of the engine answers; if that does not change, "
      "this host orders its own at "));
  fleet.pass(3 * k_minute);
  CHECK(fleet.orders() == 1);
  fleet.pass(10 * k_minute);
  CHECK(fleet.orders() == 2);
  fleet.pass(25 * k_minute);
  CHECK(fleet.orders() == 4);
  fleet.pass(30 * k_hour, 10 * k_minute); // a CA issues five in a week
  CHECK(fleet.orders() == 4);
  fleet.pass(5 * k_hour, 10 * k_minute);
  CHECK(fleet.orders() == 5);
  // The engine is back: all take the newest one, without an order.
  fleet.engine.down(false);
  fleet.settle();
  fleet.pass(2 * k_hour, k_minute);
  CHECK(fleet.orders() == 5);
  CHECK_FALSE(fleet.served().empty());
  CHECK(fleet.at(6).state() == "valid");
}

TEST_CASE("[attack-G60] the engine is away when it is to be renewed: with a quarter of its life left they order their own, and no site is dark [fault-906]") {
  SharingFleet fleet;
  fleet.deploy();
  fleet.pass(3 * k_minute);
  fleet.engine.down(true);
  fleet.pass(33 * k_day, k_hour); // 12 of 45 days are left
  CHECK(fleet.orders() == 1);
  for (size_t i = 1; i <= 3; ++i) {
    CHECK(says(problem_of(fleet.at(i)), "this host orders its own at "));
    CHECK(fleet.at(i).record().facts.failures > 0);
    CHECK(fleet.at(i).state() == "valid");
  }
  fleet.pass(k_day, 10 * k_minute);
  CHECK(fleet.orders() == 4);
  for (size_t i = 1; i <= 3; ++i) {
    CHECK(fleet.at(i).record().facts.not_after_ms > fleet.at(i).clock.wall_ms() + 40 * k_day);
    CHECK(fleet.at(i).record().facts.by.empty());
  }
}

TEST_CASE("a roster that does not count any more is as an engine that is away") {
  SharingFleet fleet;
  fleet.roster_problem = "its signer is trusted no more";
  fleet.deploy();
  fleet.pass(9 * k_minute);
  CHECK(fleet.orders() == 0);
  CHECK(says(problem_of(fleet.at(2)), "its signer is trusted no more"));
}

TEST_CASE("an engine that was wiped gets the certificate again, and a host that is new in the roster, without an order [fault-907]") {
  SharingFleet fleet;
  fleet.deploy();
  fleet.pass(3 * k_minute);
  const std::string served = fleet.served(), key = fleet.bundle_key();
  for (const auto& one : fleet.engine.keys())
    fleet.engine.remove(one);
  fleet.pass(3 * k_hour, k_minute);
  CHECK(fleet.bundle_key() == key);
  CHECK(fleet.served() == served);
  auto& web4 = fleet.add().host;
  web4.deploy({"blog.example"});
  web4.pass(5'000);
  CHECK(web4.loaded["blog"].empty());
  CHECK(says(problem_of(web4), "is not encrypted to this host yet"));
  for (auto& one : fleet.members)
    one->host.certificates->fleet_changed(); // as a roster does
  fleet.pass(2 * k_minute);
  CHECK(fleet.served() == served);
  CHECK(fleet.orders() == 1);
  // Who ordered it is gone: the first one of the roster keeps it.
  const size_t issuer = fleet.issuer();
  fleet.members[issuer - 1]->in_roster = false;
  fleet.at(issuer).certificates.reset();
  fleet.engine.remove(key);
  for (auto& one : fleet.members)
    if (one->host.certificates)
      one->host.certificates->fleet_changed();
  fleet.settle();
  CHECK(fleet.bundle().at("sha256") == served);
  CHECK(fleet.bundle().at("host") == (issuer == 1 ? "web2" : "web1"));
}

TEST_CASE("a locked host cannot open what the others have, keeps its own, and takes it when it is unlocked [fault-908]") {
  SharingFleet fleet;
  fleet.deploy();
  fleet.pass(3 * k_minute);
  const size_t issuer = fleet.issuer(), locked = issuer == 3 ? 2 : 3;
  const std::string first = fleet.served();
  fleet.at(locked).locked = true;
  fleet.pass(31 * k_day, k_hour);
  CHECK(fleet.orders() == 2);
  CHECK(fleet.at(locked).loaded["blog"] == first);
  CHECK(fleet.at(locked).state() == "valid");
  CHECK(says(problem_of(fleet.at(locked)), "is taken once this host is unlocked"));
  fleet.at(locked).locked = false;
  fleet.at(locked).certificates->unlocked();
  fleet.settle();
  CHECK_FALSE(fleet.served().empty());
  CHECK(fleet.orders() == 2);
}

TEST_CASE("[attack-G62] the fleet orders four certificates of the same names in a week, and a host no more, whatever the engine forgets") {
  for (const bool forgets : {false, true}) {
    SharingFleet fleet(2);
    fleet.deploy();
    fleet.pass(3 * k_minute);
    for (int i = 0; i < 12; ++i) {
      const size_t by = fleet.at(1).record().facts.by.empty() ? 2 : 1; // without `replaces`
      if (forgets)
        for (const auto& key : fleet.engine.keys())
          if (key.starts_with("claims/"))
            fleet.engine.remove(key);
      (void)fleet.at(by).certificates->renew("blog", false);
      fleet.pass(20 * k_minute);
    }
    INFO(forgets);
    CHECK(fleet.orders() == (forgets ? 8 : 4));
    if (!forgets) {
      const size_t by = fleet.at(1).record().facts.by.empty() ? 2 : 1;
      CHECK(says(problem_of(fleet.at(by)),
          "4 certificates of blog.example were issued within a week by hosts of the fleet"));
      fleet.pass(8 * k_day, k_hour);
      CHECK(fleet.orders() == 5);
    }
    CHECK_FALSE(fleet.served().empty());
  }
}

TEST_CASE("`tls renew` orders at once on a host that took its certificate, whatever time the CA named") {
  SharingFleet fleet;
  fleet.deploy();
  fleet.pass(3 * k_minute);
  const size_t other = fleet.issuer() == 1 ? 2 : 1;
  auto& host = fleet.at(other);
  const auto at = [&](int64_t ms) { return rfc3339((host.clock.wall_ms() + ms) / 1000); };
  host.engine.ari = {{"start", at(29 * k_day)}, {"end", at(31 * k_day)},
      {"selected", at(30 * k_day)}, {"retry_after", 21'600}};
  must(host.certificates->renew("blog", false));
  fleet.pass(2 * k_minute);
  CHECK(fleet.orders() == 2);
  CHECK(host.record().facts.by.empty());
  CHECK_FALSE(fleet.served().empty());
}

TEST_CASE("a certificate for a hundred hosts fits into a value of the engine") {
  SharingFleet fleet(1);
  auto& host = fleet.at(1);
  tls::SharingHosts many = must(fleet.hosts(*fleet.members[0]));
  while (many.all.size() < 100)
    many.all.push_back({cat("host", many.all.size()), crypto::AgeIdentity::generate().recipient()});
  host.sharing.hosts = [&](const std::string&) { return Result<tls::SharingHosts>(many); };
  host.begin();
  std::vector<std::string> names;
  for (int i = 0; i < 25; ++i)
    names.push_back(cat("a-name-of-some-length-", i, ".blog.example"));
  fleet.deploy(names);
  fleet.pass(3 * k_minute);
  const size_t size = fleet.engine.text(fleet.bundle_key()).size();
  WARN("a certificate of 25 names for 100 hosts: " << size << " bytes in the engine");
  CHECK(size > 1'000);
  CHECK(size < 40 * 1024); // of 64 KiB
}

TEST_CASE("names that a deploy adds are ordered once, for all") {
  SharingFleet fleet;
  fleet.deploy();
  fleet.pass(3 * k_minute);
  fleet.deploy({"blog.example", "www.blog.example"});
  fleet.pass(5 * k_minute);
  CHECK(fleet.orders() == 2);
  CHECK_FALSE(fleet.served().empty());
  for (size_t i = 1; i <= 3; ++i)
    CHECK(fleet.at(i).record().facts.names ==
        std::vector<std::string>{"blog.example", "www.blog.example"});
}

TEST_CASE("hosts that each had their own share the newest, without an order") {
  SharingFleet fleet;
  for (auto& one : fleet.members) {
    const auto sharing = std::exchange(one->host.sharing, {});
    one->host.begin();
    one->host.deploy({"blog.example"});
    one->host.pass(k_minute);
    one->host.clock.pass(k_hour);
    one->host.sharing = sharing;
  }
  REQUIRE(fleet.orders() == 3);
  REQUIRE(fleet.served().empty());
  for (auto& one : fleet.members)
    one->host.begin();
  fleet.pass(3 * k_hour, k_minute);
  CHECK(fleet.orders() == 3);
  CHECK_FALSE(fleet.served().empty());
}

TEST_CASE("a key that may not reach a disk, and the host's own name, are each host's own") {
  SharingFleet fleet(2);
  for (auto& one : fleet.members)
    one->host.deploy({"blog.example"}, R"({"key":"memory"})");
  fleet.pass(3 * k_minute);
  CHECK(fleet.orders() == 2);
  CHECK(fleet.engine.keys().empty());
}

TEST_CASE("a certificate that another host ordered is revoked there") {
  SharingFleet fleet(2);
  fleet.deploy();
  fleet.pass(3 * k_minute);
  const size_t issuer = fleet.issuer(), other = 3 - issuer;
  const auto refused = fleet.at(other).certificates->revoke("blog");
  REQUIRE_FALSE(refused);
  CHECK(says(refused.error().message, cat("web", issuer, " ordered it for the fleet")));
  const auto first = fleet.served();
  must(fleet.at(issuer).certificates->revoke("blog"));
  fleet.pass(3 * k_minute);
  CHECK(fleet.served() != first);
  CHECK_FALSE(fleet.served().empty());
}

TEST_CASE("[attack-G60] a claim that never goes keeps no host from an order of its own, whoever it names") {
  for (const std::string_view host : {"web3", "web9", ""}) {
    SharingFleet fleet;
    const std::string key = SharingFleet::claim_key();
    fleet.engine.put(key, dump(Json{{"host", host}, {"id", "x"}, {"problem", ""}}));
    fleet.at(1).deploy({"blog.example"});
    fleet.at(2).deploy({"blog.example"});
    fleet.pass(3 * k_minute);
    INFO(host);
    if (host != "web3") { // of none that has the site: it is taken away
      CHECK(fleet.orders() == 1);
      CHECK(fleet.engine.text(key).empty());
      continue;
    }
    CHECK(fleet.orders() == 0);
    CHECK(problem_of(fleet.at(1)) == "web3 orders it for the fleet");
    CHECK(fleet.at(1).record().facts.failures == 0);
    fleet.pass(26 * k_minute);
    CHECK(fleet.orders() == 0);
    fleet.pass(5 * k_minute);
    CHECK(fleet.orders() == 1);
    CHECK(fleet.at(2).loaded["blog"] == fleet.at(1).loaded["blog"]);
    CHECK_FALSE(fleet.at(2).loaded["blog"].empty());
    // At the renewal it is seen as a failure, and a quarter of the life before the end is early
    // enough.
    fleet.pass(33 * k_day, k_hour);
    CHECK(fleet.orders() == 1);
    CHECK(says(problem_of(fleet.at(2)),
        "web3 orders it for the fleet; if that does not change, this host orders its own at "));
    CHECK(fleet.at(2).record().facts.failures > 0);
    fleet.pass(k_day, 10 * k_minute);
    CHECK(fleet.orders() >= 2);
    CHECK(fleet.at(2).record().facts.not_after_ms > fleet.at(2).clock.wall_ms() + 40 * k_day);
  }
}

TEST_CASE("[attack-G60] a stranger's claim that comes back at each try delays no host for ever [fault-936]") {
  SharingFleet fleet(2);
  const std::string key = SharingFleet::claim_key();
  const std::string claim = R"({"host":"web9","id":"x","problem":""})";
  fleet.engine.put(key, claim);
  int removed = 0;
  fleet.engine.on_made([&](const std::string& changed) {
    if (changed == key && fleet.engine.text(key).empty() && ++removed > 0)
      fleet.engine.put(key, claim);
  });
  fleet.deploy();
  fleet.pass(9 * k_minute);
  CHECK(removed > 0);
  CHECK(fleet.orders() == 0);
  CHECK(says(problem_of(fleet.at(1)), "changes while it is taken; if that does not change"));
  fleet.pass(3 * k_minute);
  CHECK(fleet.orders() == 1);
  CHECK_FALSE(fleet.served().empty());
}

TEST_CASE("[attack-G60] certificates that were never issued hold no order for ever: times to come do not count, others until its own is due [fault-937]") {
  for (const bool later : {true, false}) {
    SharingFleet fleet;
    const int64_t now = fleet.at(1).clock.wall_ms();
    for (int i = 0; i < 4; ++i)
      fleet.engine.put(
          cat(SharingFleet::claim_key(), "/", later ? 9'000'000'000'000'000 + i : now - k_hour + i),
          "web9");
    fleet.deploy();
    fleet.pass(9 * k_minute);
    INFO(later);
    CHECK(fleet.orders() == (later ? 1 : 0));
    if (!later) {
      CHECK(says(problem_of(fleet.at(1)),
          "4 certificates of blog.example were issued within a week by hosts of the fleet, and a "
          "CA issues 5; if that does not change, this host orders its own at "));
      CHECK(fleet.at(1).record().facts.failures > 0);
    }
    fleet.pass(3 * k_minute);
    CHECK(fleet.orders() == 1);
    CHECK_FALSE(fleet.served().empty());
  }
}

TEST_CASE("hosts that are set up again get the certificate of the others, without an order") {
  SharingFleet fleet(6);
  fleet.deploy();
  fleet.pass(3 * k_minute);
  const std::string served = fleet.served();
  REQUIRE(fleet.issuer() == 1);
  for (size_t i = 2; i <= 6; ++i) {
    auto& host = fleet.set_up_again(i);
    host.deploy({"blog.example"});
    CHECK(host.loaded["blog"].empty());
    fleet.pass(3 * k_minute);
    CHECK(host.loaded["blog"] == served);
  }
  CHECK(fleet.orders() == 1);
}

TEST_CASE("what a host cannot decrypt is waited for, and is no reason for an order at once [fault-938]") {
  SharingFleet fleet;
  fleet.deploy();
  fleet.pass(3 * k_minute);
  auto bundle = fleet.bundle();
  fleet.at(1).certificates.reset(); // who would bring a good one
  REQUIRE(fleet.issuer() == 1);
  bundle["sealed"] = sealed_to({crypto::AgeIdentity::generate().recipient()}, "x");
  fleet.engine.put(fleet.bundle_key(), signed_by(fleet.members[0]->key, dump(bundle)));
  auto& host = fleet.set_up_again(2);
  bundle["to"] = {host.identity->recipient()};
  fleet.engine.put(fleet.bundle_key(), signed_by(fleet.members[0]->key, dump(bundle)));
  host.deploy({"blog.example"});
  fleet.pass(9 * k_minute);
  CHECK(fleet.orders() == 1);
  CHECK(says(problem_of(host),
      "the certificate that web1 ordered for the fleet cannot be decrypted here: "));
  fleet.pass(30 * k_minute);
  CHECK(host.state() == "valid");
}

TEST_CASE("[attack-G76] a stolen host of the roster takes https from no name that is served, and none has one of no CA or of ten years") {
  SharingFleet fleet;
  const std::vector<std::string> names{"blog.example", "www.blog.example"};
  auto& public_ca = fleet.at(1);
  for (auto& one : fleet.members) {
    std::filesystem::create_directories(one->host.top + "/etc/ssl/certs");
    must(os::real_disk().write(
        one->host.paths.system_roots(), public_ca.engine.ca.root_pem(), 0644));
  }
  fleet.deploy(names);
  fleet.pass(3 * k_minute);
  const std::string served = fleet.served();
  REQUIRE_FALSE(served.empty());
  REQUIRE(fleet.issuer() == 1);
  TlsHost no_ca; // of which no machine knows the root
  auto& stolen = fleet.at(3);
  const auto attempt = [&](TlsHost& ca, const std::vector<std::string>& of, int64_t days) {
    const int64_t now = stolen.clock.wall_ms();
    fleet.put_signed(3, another_pem(ca, of, now, now + days * k_day));
    fleet.pass(80'000, 10'000);
    CHECK(fleet.at(1).loaded["blog"] == served);
    CHECK(fleet.at(2).loaded["blog"] == served);
  };
  attempt(public_ca, {"blog.example"}, 45); // a name less
  attempt(no_ca, names, 45);
  attempt(public_ca, names, 3'650);
  const auto trail = must(fleet.at(1).store->audit_entries(1'000));
  CHECK(std::ranges::any_of(trail, [](const store::AuditEntry& one) {
    return one.actor == "fleet engine" && says(one.text, "leads to no CA of ");
  }));
  // One with nothing of that is taken.
  const int64_t now = stolen.clock.wall_ms();
  fleet.put_signed(3, another_pem(public_ca, names, now, now + 45 * k_day));
  fleet.pass(80'000, 10'000);
  CHECK(fleet.at(1).loaded["blog"] != served);
  CHECK_FALSE(fleet.served().empty());
}

TEST_CASE("[attack-G61] what a host ordered that is out of the roster now is renewed at once, once, by another one") {
  SharingFleet fleet;
  fleet.deploy();
  fleet.pass(3 * k_minute);
  REQUIRE(fleet.issuer() == 1);
  const std::string known = fleet.served();
  fleet.members[0]->in_roster = false;
  fleet.at(1).certificates.reset();
  fleet.roster_changed();
  fleet.pass(2 * k_minute);
  CHECK(fleet.orders() == 2);
  CHECK(fleet.at(2).loaded["blog"] == fleet.at(3).loaded["blog"]);
  CHECK(fleet.at(2).loaded["blog"] != known);
  fleet.pass(k_day, k_hour);
  CHECK(fleet.orders() == 2);
}

TEST_CASE("who writes to the engine all the time has each host read it once in three seconds [fault-939]") {
  SharingFleet fleet(1);
  fleet.deploy();
  fleet.pass(3 * k_minute);
  const size_t before = fleet.engine.reads();
  for (int i = 0; i < 1'000; ++i) {
    fleet.engine.put("certs/other/x", cat(i));
    fleet.at(1).certificates->tick();
  }
  CHECK(fleet.engine.reads() - before == 2); // the certificate, and its claims
  fleet.pass(5'000, 1'000);
  CHECK(fleet.engine.reads() - before == 4);
}
