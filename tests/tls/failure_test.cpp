// What goes wrong, and what comes next: nothing of it is ever in the way of what is served.
#include "tls/tls_host.hpp"

#include "tls/problem.hpp"

using namespace chillbox;
using namespace chillbox::test;

namespace {

// A host with a certificate that is to be renewed soon.
struct Served : TlsHost {
  Served(const std::vector<std::string>& names = {"blog.example"}) {
    deploy(names);
    pass(k_minute);
    REQUIRE(state() == "valid");
    first = record();
  }
  // To the moment of its renewal.
  void to_renewal() { pass(30 * k_day - k_hour); }
  bool still_served() {
    return loaded["blog"] == first.facts.sha256 && file_is_good(file()) && !nginx_down;
  }
  tls::Record first;
};

std::vector<int64_t> delays(tls::Next next, int n) {
  std::vector<int64_t> all;
  for (int i = 1; i <= n; ++i)
    all.push_back(tls::delay_ms(next, static_cast<uint64_t>(i), "x"));
  return all;
}

bool near(int64_t is, int64_t wanted) {
  INFO(is << " " << wanted);
  return is >= wanted && is <= wanted + wanted / 10 + 1;
}

} // namespace

TEST_CASE("the retries that a CA asks for: 1, 10, 100 minutes, then daily") {
  const auto retry = delays(tls::Next::retry, 6);
  const std::vector<int64_t> wanted{k_minute, 10 * k_minute, 100 * k_minute, k_day, k_day, k_day};
  for (size_t i = 0; i < wanted.size(); ++i)
    CHECK(near(retry[i], wanted[i]));
  const auto soon = delays(tls::Next::soon, 12);
  for (size_t i = 0; i < soon.size(); ++i)
    CHECK(near(soon[i], std::min(k_minute << i, 6 * k_hour)));
  CHECK(near(tls::delay_ms(tls::Next::attention, 1, "x"), k_day));
  CHECK(tls::delay_ms(tls::Next::soon, 1'000'000, "x") > 0);
}

TEST_CASE("a CA that is down when a certificate is due: it serves on, and nobody is alarmed (tls 1)") {
  Served host;
  host.to_renewal();
  host.begin(); // a boot
  CHECK(host.still_served());
  for (int i = 0; i < 200; ++i)
    host.engine.problems.push_back(
        {{"ok", false}, {"problem", {{"type", "network"}, {"detail", "connect: refused"}}}});
  host.pass(k_day);
  CHECK(host.state() == "backing-off");
  CHECK(host.still_served());
  CHECK(host.record().facts.alert == control::AlertLevel::none);
  CHECK(host.record().facts.failing_ms > 0);
  CHECK(host.engine.orders.size() <= 14); // 1 min, doubling to 6 h
  host.pass(3 * k_day);
  CHECK(host.record().facts.alert == control::AlertLevel::warning);
  host.pass(7 * k_day);
  CHECK(host.record().facts.alert == control::AlertLevel::error);
  host.pass(7 * k_day);
  CHECK(host.record().facts.alert == control::AlertLevel::expired);
  CHECK(host.still_served()); // HSTS leaves nothing better
  const auto alerts =
      std::ranges::count_if(host.events, [](const auto& e) { return e.ends_with(" error"); });
  CHECK(alerts >= 1);
  host.engine.problems.clear();
  host.pass(7 * k_hour);
  CHECK(host.state() == "valid");
  CHECK(host.record().facts.alert == control::AlertLevel::none);
}

TEST_CASE("a CA that is down at the first deploy: the certificate comes once it is back (tls 2)") {
  TlsHost host;
  for (int i = 0; i < 6; ++i)
    host.engine.problems.push_back(
        {{"ok", false}, {"problem", {{"type", "network"}, {"detail", "connect: refused"}}}});
  host.deploy({"blog.example"});
  host.pass(k_minute);
  CHECK(host.texts["blog"].certificate.empty());
  CHECK(host.state() == "backing-off");
  CHECK(says(host.certificates->all()->front().problem, "the CA is not reached from this host"));
  host.pass(3 * k_hour);
  CHECK(host.state() == "valid");
}

TEST_CASE("a name that DNS does not have: no CA is asked, and it says which record [fault-312] (tls 3)") {
  TlsHost host;
  host.deploy({"blog.example"});
  host.engine.world.a.clear();
  host.pass(k_day);
  CHECK(host.state() == "waiting");
  CHECK(host.engine.orders.empty());
  CHECK(host.engine.accounts.empty());
  const auto problem = host.certificates->all()->front().problem;
  CHECK(says(problem, "blog.example is not found in DNS: NXDOMAIN"));
  CHECK(says(problem, "add an A (IPv4) or AAAA (IPv6) record"));
  host.engine.world.a["blog.example"] = {};
  host.pass(2 * k_hour);
  CHECK(says(host.certificates->all()->front().problem, "no A and no AAAA record"));
  host.engine.world.a["blog.example"] = {"192.0.2.1"};
  host.pass(2 * k_hour);
  CHECK(host.state() == "valid");
}

TEST_CASE("the rounds of waiting are 1, 5, 15, 60 minutes, and a deploy is one at once") {
  TlsHost host;
  host.deploy({"blog.example"});
  host.engine.world.a.clear();
  host.pass(3 * k_minute);
  const int first = host.engine.count("probe addresses");
  CHECK(first == 2);
  host.pass(20 * k_hour);
  CHECK(host.engine.count("probe addresses") <= 24);
  host.deploy({"blog.example"});
  CHECK(host.state() == "waiting");
  host.engine.world.a["blog.example"] = {"192.0.2.1"};
  host.pass(k_minute);
  CHECK(host.state() == "valid");
}

TEST_CASE("A right, AAAA wrong: no CA is asked, and the address is named [fault-312] (tls 4)") {
  TlsHost host;
  host.engine.world.hosts["2001:db8::9"] = "404";
  host.engine.world.aaaa["blog.example"] = {"2001:db8::9"};
  host.deploy({"blog.example"});
  host.pass(3 * k_hour);
  CHECK(host.state() == "waiting");
  CHECK(host.engine.orders.empty());
  CHECK(says(host.certificates->all()->front().problem, "AAAA 2001:db8::9 answers HTTP 404"));
  const auto probes = host.certificates->all()->front().probes;
  REQUIRE(probes.size() == 3); // loopback, A, AAAA
  CHECK((probes[0].good && probes[0].address == "loopback"));
  CHECK((probes[1].good && probes[1].address == "192.0.2.1"));
  CHECK_FALSE(probes[2].good);
}

TEST_CASE("a name that moved to another host: the others are renewed without it after three days [fault-313] (tls 5)") {
  Served host({"blog.example", "shop.example"});
  host.engine.world.a["shop.example"] = {"203.0.113.9"};
  host.engine.world.hosts["203.0.113.9"] = "welcome to nginx";
  host.to_renewal();
  host.pass(k_day);
  CHECK(host.state() == "waiting");
  CHECK(host.engine.orders.size() == 1);
  CHECK(host.still_served());
  CHECK(says(host.certificates->all()->front().problem,
      "A 203.0.113.9 answers another host's text: welcome to nginx"));
  host.pass(3 * k_day);
  REQUIRE(host.engine.orders.size() == 2);
  CHECK(host.engine.orders[1].at("names") == Json::array({"blog.example"}));
  CHECK(host.state() == "valid");
  const auto now = host.certificates->all()->front();
  REQUIRE(now.plain.size() == 1);
  CHECK(now.plain[0].name == "shop.example");
  host.engine.world.a["shop.example"] = {"192.0.2.1"}; // it comes back
  host.pass(2 * k_hour);
  CHECK(host.record().facts.names.size() == 2);
}

TEST_CASE("a template that swallows the challenge is found before any CA is asked [fault-312] (tls 6)") {
  TlsHost host;
  for (const char* answer : {"404", "to https://blog.example/login", "the application"}) {
    host.engine.world.loopback = answer;
    host.deploy({"blog.example"});
    host.pass(k_minute);
    CHECK(host.state() == "waiting");
    CHECK(says(host.certificates->all()->front().problem,
        "the site's NGINX template must leave /.well-known/acme-challenge/ alone"));
  }
  CHECK(host.engine.orders.empty());
}

TEST_CASE("addresses that nobody reaches from here may be a router's: a CA is asked after three rounds") {
  TlsHost host;
  host.engine.world.hosts["192.0.2.1"] = "away";
  host.deploy({"blog.example"});
  host.pass(k_minute);
  CHECK(host.engine.orders.empty());
  CHECK(says(host.certificates->all()->front().problem, "cannot be checked from here"));
  host.pass(10 * k_minute);
  CHECK(host.engine.orders.size() == 1);
  CHECK(host.state() == "valid");
}

TEST_CASE("a nonce that is refused is one backoff and one order (tls 8)") {
  TlsHost host;
  host.engine.problems.push_back(problem("badNonce"));
  host.deploy({"blog.example"});
  host.pass(3 * k_minute);
  CHECK(host.engine.orders.size() == 2);
  CHECK(host.state() == "valid");
}

TEST_CASE("an order that is processing for ever is kept, and fetched before another one (tls 9)") {
  TlsHost host;
  Json late{{"ok", false}, {"problem", {{"type", "deadline"}, {"detail", "processing"}}},
      {"order_url", "https://ca.test/order/7"}};
  host.engine.problems = {late, late};
  host.deploy({"blog.example"});
  host.pass(k_minute);
  host.begin();
  host.pass(10 * k_minute);
  REQUIRE(host.engine.orders.size() == 3);
  CHECK(host.engine.orders[0].at("order_url").is_null());
  for (size_t i : {1, 2}) {
    CHECK(host.engine.orders[i].at("order_url") == "https://ca.test/order/7");
    // of the same key: the CA may have certified it already
    X509_REQ* a = Authority::read(host.engine.orders[0].at("csr"));
    X509_REQ* b = Authority::read(host.engine.orders[i].at("csr"));
    CHECK(EVP_PKEY_eq(X509_REQ_get0_pubkey(a), X509_REQ_get0_pubkey(b)) == 1);
    X509_REQ_free(a);
    X509_REQ_free(b);
  }
  CHECK(host.state() == "valid");
}

TEST_CASE("Retry-After wins, and survives a kill and a boot; a person is told when (tls 10)") {
  TlsHost host;
  Json limited = problem("rateLimited", "too many certificates");
  limited["retry_at"] = rfc3339((host.clock.wall_ms() + 3 * k_hour) / 1000);
  host.engine.problems.push_back(limited);
  host.deploy({"blog.example"});
  host.pass(k_minute);
  CHECK(host.record().next_ms / 1000 == (k_begin + 3 * k_hour) / 1000);
  host.begin();
  host.pass(2 * k_hour);
  host.begin();
  CHECK(host.engine.orders.size() == 1);
  const auto asked = host.certificates->renew("blog", false);
  REQUIRE_FALSE(asked);
  CHECK(asked.error().code == Code::throttled);
  CHECK(says(asked.error().message, cat("not before ", rfc3339((k_begin + 3 * k_hour) / 1000))));
  host.pass(k_hour + k_minute);
  CHECK(host.engine.orders.size() == 2);
  CHECK(host.state() == "valid");
}

TEST_CASE("no more than three failed orders within an hour, whoever asks for more [fault-317] (tls 11)") {
  TlsHost host;
  for (int i = 0; i < 50; ++i)
    host.engine.problems.push_back(problem("unauthorized", "wrong token", "blog.example"));
  host.deploy({"blog.example"});
  std::vector<int64_t> times;
  host.engine.before_answer = [&] { times.push_back(host.clock.wall_ms()); };
  for (int i = 0; i < 60; ++i) {
    host.pass(5 * k_minute);
    host.deploy({"blog.example", cat("n", i % 2, ".example")});
    (void)host.certificates->renew("blog", false);
    if (i % 7 == 0)
      host.begin();
  }
  REQUIRE(times.size() >= 3);
  for (size_t i = 3; i < times.size(); ++i)
    CHECK(times[i] - times[i - 3] >= k_hour);
}

TEST_CASE("[fault-1108] a renewal that a person asks for keeps the CA's limit for the same names, in whatever order the site has them") {
  TlsHost host;
  for (int day = 1; day <= 4; ++day)
    must(host.store->end_certificate_order(
        must(host.store->begin_certificate_order({0, "blog", {"blog.example", "www.example"},
            host.clock.wall_ms() - day * k_day, "begun"})),
        "issued"));
  host.deploy({"www.example", "blog.example"});
  host.pass(k_minute);
  CHECK(host.engine.orders.empty());
  const auto asked = host.certificates->renew("blog", false);
  REQUIRE_FALSE(asked);
  CHECK(asked.error().code == Code::throttled);
  CHECK(says(asked.error().message, "4 certificates of these names were issued within a week"));
}

TEST_CASE("[attack-G2] what a CA sends that is not for our key and names is refused, and the old one serves (tls 12)") {
  Served host;
  Authority stranger("Stranger");
  const auto n = GENERATE(0, 1, 2, 3, 4, 5);
  host.engine.tamper = [&](const Json& in, const std::string& chain) -> std::string {
    Leaf leaf{.names = in.at("names"),
        .from_ms = host.clock.wall_ms() - 1'000,
        .until_ms = host.clock.wall_ms() + k_day};
    switch (n) {
    case 0: return host.engine.ca.issue("", leaf); // another key
    case 1: return host.engine.ca.leaf(in.at("csr"), leaf) + stranger.issuer_pem();
    case 2: leaf.names = {"other.example"}; return host.engine.ca.issue(in.at("csr"), leaf);
    case 3:
      leaf.until_ms = host.clock.wall_ms() - 1'000;
      return host.engine.ca.issue(in.at("csr"), leaf);
    case 4: return std::string(100'000, 'A') + chain + std::string(100'000, 'B');
    default: return "";
    }
  };
  host.to_renewal();
  host.pass(2 * k_hour);
  CHECK(host.engine.orders.size() == 2);
  CHECK(host.state() == "attention");
  CHECK(host.still_served());
  CHECK(host.texts["blog"].certificate == host.file());
  CHECK_FALSE(std::filesystem::exists(host.file() + ".new"));
  host.pass(2 * k_day); // daily, not more
  CHECK(host.engine.orders.size() <= 4);
  host.engine.tamper = nullptr;
  host.pass(2 * k_day);
  CHECK(host.state() == "valid");
}

TEST_CASE("an account that the CA does not know is registered once (tls 13)") {
  TlsHost host;
  host.engine.problems.push_back(problem("accountDoesNotExist"));
  host.deploy({"blog.example"});
  host.pass(k_minute);
  CHECK(host.engine.accounts == std::vector<std::string>{"ensure"});
  CHECK(host.state() == "valid");
}

TEST_CASE("an account that is of no use is replaced once, never in a loop (tls 14)") {
  TlsHost host;
  for (int i = 0; i < 20; ++i)
    host.engine.problems.push_back(problem("unauthorized", "the account is deactivated"));
  host.deploy({"blog.example"});
  host.pass(k_minute);
  CHECK(host.engine.accounts == std::vector<std::string>{"new"});
  CHECK(host.state() == "attention");
  host.pass(3 * k_day);
  CHECK(host.engine.accounts.size() <= 4);
}

TEST_CASE("a challenge that failed on a page that says account makes no new account (tls 14)") {
  TlsHost host;
  for (int i = 0; i < 9; ++i)
    host.engine.problems.push_back(problem(
        "unauthorized", "Invalid response: <h1>Your account is deactivated</h1>", "blog.example"));
  host.deploy({"blog.example"});
  host.pass(k_day);
  CHECK(host.engine.accounts.empty());
  CHECK(host.state() == "backing-off");
}

TEST_CASE("a clock that is wrong loses nothing, and says so; none comes in a storm [fault-315] (tls 15)") {
  Served host;
  host.to_renewal();
  host.engine.life_ms = 45 * k_day;
  host.clock.set(-730 * k_day); // two years back: what is issued begins in the future
  host.engine.tamper = [&](const Json& in, const std::string&) {
    const int64_t real = k_begin + host.clock.mono().count();
    return host.engine.ca.issue(
        in.at("csr"), {.names = in.at("names"), .from_ms = real, .until_ms = real + 45 * k_day});
  };
  host.begin();
  REQUIRE(host.certificates->renew("blog", false));
  host.pass(2 * k_day);
  CHECK(host.still_served());
  CHECK(host.engine.orders.size() == 2);
  CHECK(says(host.certificates->all()->front().problem, "and this host's clock says 2025"));
  host.clock.set(730 * k_day);
  host.pass(7 * k_hour);
  INFO(host.record().facts.problem);
  CHECK(host.state() == "valid");
  CHECK(host.engine.orders.size() == 2); // what was issued was kept
  host.clock.set(365 * k_day);
  host.engine.tamper = nullptr;
  host.pass(3 * k_day);
  CHECK(host.engine.orders.size() <= 6);
  CHECK(host.state() == "valid");
}

TEST_CASE("a CA's clock that is far from ours is in the message (tls 15)") {
  TlsHost host;
  Json late = problem("serverInternal", "the certificate is not yet valid");
  late["ca_date"] = "2020-01-01T00:00:00Z";
  host.engine.problems.push_back(late);
  host.deploy({"blog.example"});
  host.pass(30'000);
  CHECK(
      says(host.certificates->all()->front().problem, "and the CA's 2020-01-01T00:00:00Z: set it"));
}

TEST_CASE("a full disk at the install: the old file stays, and nothing is ordered twice [fault-311] (tls 16)") {
  Served host;
  host.to_renewal();
  host.engine.before_answer = [&] { host.disk.fail_at(1); };
  bool failed = false, served = false;
  host.on_event = [&] {
    if (host.events.back().starts_with("installing>attention")) {
      failed = true;
      served = host.still_served() && !std::filesystem::exists(host.file() + ".new");
    }
  };
  host.pass(3 * k_hour);
  CHECK((failed && served));
  CHECK(host.engine.orders.size() == 2);
  CHECK(host.state() == "valid");
  CHECK_FALSE(host.record().facts.sha256 == host.first.facts.sha256);
}

TEST_CASE("a reload that is not proven: the old file is back, and served [fault-311] (tls 17)") {
  Served host;
  host.to_renewal();
  SECTION("the reload fails") {
    host.reload_error = "nginx: bind() to 0.0.0.0:443 failed";
  }
  SECTION("it succeeds, and the old one is served") {
    host.engine.served_sha256 = std::string(64, 'a');
  }
  SECTION("nginx -t refuses") {
    host.refuses_text = true;
  }
  host.pass(2 * k_hour);
  CHECK(host.state() == "attention");
  const auto now = crypto::check_certificate_file(must(os::real_disk().read(host.file(), 1 << 20)));
  CHECK(now->leaf_facts.sha256 == host.first.facts.sha256);
  CHECK(says(host.certificates->all()->front().problem, "the new certificate is not in use"));
  CHECK(host.engine.orders.size() == 2);
  host.reload_error.reset();
  host.engine.served_sha256.clear();
  host.refuses_text = false;
  host.pass(7 * k_hour);
  CHECK(host.state() == "valid");
  CHECK(host.engine.orders.size() == 2); // what was issued was kept
}

TEST_CASE("a daemon that stops while it proves a certificate has failed at nothing; the next one goes on [fault-1080]") {
  Served host;
  host.to_renewal();
  const auto serves = host.engine.serves;
  bool stopped = false;
  host.engine.serves = [&](const std::string&) {
    stopped = true;
    host.certificates->ask_to_stop();
    return std::string(64, 'a');
  };
  for (int i = 0; i < 5 && !stopped; ++i) {
    host.clock.pass(k_hour);
    host.certificates->tick();
  }
  REQUIRE(stopped);
  CHECK(host.state() == "installing");
  CHECK(host.record().facts.failures == 0);
  host.engine.serves = serves;
  host.begin();
  host.pass(k_minute);
  CHECK(host.state() == "valid");
  CHECK_FALSE(host.record().facts.sha256 == host.first.facts.sha256);
  CHECK(host.engine.orders.size() == 2);
  for (const auto& event : host.events)
    CHECK(event.find("attention") == std::string::npos);
}

TEST_CASE("a first certificate that is not proven leaves the site on http (tls 17)") {
  TlsHost host;
  host.engine.served_sha256 = std::string(64, 'a');
  host.deploy({"blog.example"});
  host.pass(k_minute);
  CHECK(host.state() == "attention");
  CHECK(host.texts["blog"].certificate.empty());
  CHECK_FALSE(std::filesystem::exists(host.file()));
}

TEST_CASE("one bad name of several is left out after three days, never the canonical one") {
  TlsHost host;
  host.engine.refuse = [](const Json& in) {
    for (const auto& name : in.at("names"))
      if (name == "www.example")
        return problem("caa", "CAA forbids", "www.example");
    return Json();
  };
  host.deploy({"blog.example", "www.example"});
  host.pass(4 * k_day);
  CHECK(host.state() == "valid");
  CHECK(host.record().facts.names == std::vector<std::string>{"blog.example"});
  CHECK(says(host.certificates->all()->front().plain.front().why, "a CA refused it on three days"));
  CHECK(host.engine.orders.size() <= 5);
  SECTION("a CA that goes on refusing is asked once a week") {
    const size_t before = host.engine.orders.size();
    host.pass(28 * k_day);
    CHECK(host.record().facts.names == std::vector<std::string>{"blog.example"});
    CHECK(host.state() == "valid");
    CHECK(host.engine.orders.size() - before >= 2);
    CHECK(host.engine.orders.size() - before <= 5);
    CHECK(host.record().facts.bad.at("www.example").days.size() == 3);
  }
  SECTION("a name that was mended comes back within a week, without a person") {
    host.engine.refuse = nullptr;
    host.pass(8 * k_day);
    CHECK(host.record().facts.names == std::vector<std::string>{"blog.example", "www.example"});
    CHECK(host.record().facts.bad.empty());
    CHECK(host.certificates->all()->front().plain.empty());
  }
}

TEST_CASE("what only a person can mend is tried once a day, in the CA's words and with its link (tls 28)") {
  TlsHost host;
  Json paused = problem("rateLimited",
      "Your account is temporarily prevented from requesting certificates for blog.example and possibly others. Please visit: https://ca.test/unpause");
  paused["problem"]["link"] = "https://ca.test/unpause";
  SECTION("paused") {
    for (int i = 0; i < 9; ++i)
      host.engine.problems.push_back(paused);
    host.deploy({"blog.example"});
    host.pass(k_hour);
    CHECK(host.state() == "attention");
    CHECK(host.certificates->all()->front().link == "https://ca.test/unpause");
    CHECK(says(host.certificates->all()->front().problem, "open the CA's link"));
  }
  SECTION("CAA") {
    for (int i = 0; i < 9; ++i)
      host.engine.problems.push_back(
          problem("caa", "CAA record for blog.example prevents issuance"));
    host.deploy({"blog.example"});
    host.pass(k_hour);
    CHECK(host.state() == "attention");
    CHECK(says(
        host.certificates->all()->front().problem, "a CAA record of the name forbids this CA"));
  }
  host.pass(2 * k_day);
  CHECK(host.engine.orders.size() <= 3);
}

TEST_CASE("without `replaces` when it was replaced already, without a profile that is gone (tls 26, 28)") {
  Served host;
  host.engine.problems = {problem("alreadyReplaced"), problem("invalidProfile")};
  host.config.tls.profile = "tlsserver";
  host.begin();
  host.to_renewal();
  host.pass(2 * k_hour);
  REQUIRE(host.engine.orders.size() == 4);
  CHECK_FALSE(host.engine.orders[1].at("replaces").is_null());
  CHECK(host.engine.orders[2].at("replaces").is_null());
  CHECK(host.engine.orders[2].at("profile") == "tlsserver");
  CHECK(host.engine.orders[3].at("profile").is_null());
  CHECK(host.state() == "valid");
}

TEST_CASE("a host that was off for 60 days serves what it has, and orders at once (tls 20)") {
  Served host;
  host.certificates.reset();
  host.clock.pass(60 * k_day);
  bool served = false;
  host.engine.before_answer = [&] { served = host.still_served(); };
  host.begin();
  CHECK(served);
  host.pass(k_minute);
  CHECK(host.engine.orders.size() == 2);
  CHECK(host.engine.orders[1].at("replaces").is_null()); // it is over
  CHECK(host.state() == "valid");
}

TEST_CASE("a site whose text takes no certificate is not ordered for") {
  TlsHost host;
  host.takes = false;
  host.deploy({"blog.example"});
  host.pass(k_hour);
  CHECK(host.engine.orders.empty());
  CHECK(says(host.certificates->all()->front().problem, "include SITE.ssl_cert.include"));
}

TEST_CASE("a revoked certificate is ordered again, with another key") {
  Served host;
  REQUIRE(host.certificates->revoke("blog"));
  CHECK(host.engine.revoked.size() == 1);
  host.pass(k_minute);
  REQUIRE(host.engine.orders.size() == 2);
  CHECK(host.engine.orders[1].at("replaces").is_null());
  CHECK(host.record().key != host.first.key);
}

TEST_CASE("a renewal that a person asks for; a trial keeps nothing") {
  Served host;
  REQUIRE(host.certificates->renew("blog", false));
  host.certificates->tick();
  CHECK(host.engine.orders.size() == 2);
  CHECK(host.record().facts.sha256 != host.first.facts.sha256);
  const auto before = host.record().facts.sha256;
  const auto trial = host.certificates->renew("blog", true);
  REQUIRE(trial);
  CHECK(says(trial->text.value(), "staging service issued"));
  CHECK(says(host.engine.orders.back().at("directory"), "acme-staging"));
  CHECK(host.record().facts.sha256 == before);
  CHECK_FALSE(host.certificates->renew("nobody", false));
}

TEST_CASE("a check asks no CA and changes nothing") {
  TlsHost host;
  host.deploy({"blog.example", "www.example"});
  host.engine.world.a.erase("www.example");
  const auto check = host.certificates->check("blog");
  REQUIRE(check);
  CHECK_FALSE(check->ready);
  CHECK(check->probes.size() == 4);
  CHECK(host.engine.orders.empty());
}
