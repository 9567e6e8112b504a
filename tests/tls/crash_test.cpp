// Kills, damaged files, boots.
#include "tls/tls_host.hpp"

#include <sys/wait.h>
#include <unistd.h>

using namespace chillbox;
using namespace chillbox::test;

namespace {

// Runs `life` of a daemon that is killed before its n-th change; false: it came to its end.
bool killed(const std::function<void(Kill&)>& arm, const std::function<void()>& life, Kill& kill) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    arm(kill);
    life();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 9;
}

// Every text names a file with which NGINX starts.
void check_nginx_could_start(TlsHost& host) {
  for (const auto& name : must(os::real_disk().list(host.paths.certs())))
    if (name.ends_with(".conf")) {
      const auto path = must(os::real_disk().read(host.paths.certs() + "/" + name, 4096));
      INFO(name);
      INFO(path);
      CHECK((path.empty() || host.file_is_good(path)));
    }
}

std::string matrix(bool renewal) {
  int moments = 0;
  for (int n = 1; n < 400; ++n) {
    TempDir dir;
    TlsHost before(dir.path);
    before.deploy({"blog.example"});
    if (renewal) {
      before.pass(k_minute);
      before.pass(30 * k_day - k_hour);
      REQUIRE(before.state() == "valid");
    }
    const int orders = before.orders_ever();
    const bool was_killed = killed([n](Kill& k) { k.in = n; },
        [&] { before.pass(renewal ? 3 * k_hour : k_minute); }, before.kill);
    if (!was_killed)
      return cat(moments, " moments");
    ++moments;
    INFO("killed before change " << n);
    const int64_t gone = before.clock.mono().count();
    before.certificates.reset();
    before.store.reset();
    check_nginx_could_start(before);
    TlsHost after(dir.path);
    after.clock.pass(gone + (renewal ? 2 * k_hour : 0));
    after.engine.world.a["blog.example"] = {"192.0.2.1"};
    after.certificates->tick();
    check_nginx_could_start(after);
    after.pass(3 * k_hour);
    CHECK(after.state() == "valid");
    CHECK(after.file_is_good(after.file()));
    CHECK(after.loaded["blog"] == after.record().facts.sha256);
    CHECK_FALSE(std::filesystem::exists(after.file() + ".new"));
    CHECK_FALSE(std::filesystem::exists(after.file() + ".old"));
    CHECK(after.orders_ever() - orders <= 2); // one of them with nobody to hear its answer
  }
  return "no end";
}

} // namespace

TEST_CASE("a kill before each change of a first certificate: what is there is whole [fault-309] (tls 18)") {
  CHECK(says(matrix(false), "moments"));
}

TEST_CASE("a kill before each change of a renewal: old or new, never a pair that does not match [fault-309] (tls 18)") {
  CHECK(says(matrix(true), "moments"));
}

TEST_CASE("a file that was damaged while the daemon was off is good again before NGINX starts [fault-310] (tls 19)") {
  TlsHost host;
  host.deploy({"blog.example"});
  host.pass(k_minute);
  const auto sha = host.record().facts.sha256;
  const auto good = must(os::real_disk().read(host.file(), 1 << 20));
  for (const std::string& damage :
      {std::string(), good.substr(0, 700), good.substr(300), std::string("x")}) {
    host.certificates.reset();
    must(os::real_disk().write(host.file(), damage, 0600));
    host.load();
    CHECK(host.nginx_down);
    host.begin(false);
    CHECK_FALSE(host.nginx_down);
    CHECK(host.loaded["blog"] == sha);
    CHECK(must(os::real_disk().read(host.file(), 1 << 20)) == good);
  }
  std::filesystem::remove(host.file());
  host.begin(false);
  CHECK(host.file_is_good(host.file()));
  CHECK(host.starts == 5);
  CHECK(host.engine.orders.size() == 1);
}

TEST_CASE("a damaged file without a copy: NGINX starts without it, and it is ordered again [fault-310] (tls 19)") {
  TlsHost host;
  host.deploy({"blog.example"});
  host.pass(k_minute);
  auto row = *must(host.store->certificate("blog"));
  row.key.clear();
  must(host.store->put_certificate(row));
  must(os::real_disk().write(host.file(), "", 0600));
  host.begin(false);
  CHECK_FALSE(host.nginx_down);
  CHECK(host.texts["blog"].certificate.empty());
  host.pass(k_minute);
  CHECK(host.state() == "valid");
  CHECK(host.engine.orders.size() == 2);
}

TEST_CASE("a key in memory never reaches a disk, and comes back after a boot (tls 29)") {
  TlsHost host;
  host.deploy({"blog.example"}, R"({"key":"memory"})");
  host.pass(k_minute);
  REQUIRE(host.state() == "valid");
  const std::string file = host.paths.tls() + "/blog.pem";
  CHECK(host.file_is_good(file));
  CHECK(host.texts["blog"].in_memory);
  CHECK_FALSE(std::filesystem::exists(host.file()));
  const auto key = std::string(must(crypto::key_in(must(os::real_disk().read(file, 1 << 20)))));
  const auto body = key.substr(60, 80);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(host.paths.state()))
    if (entry.is_regular_file())
      CHECK(must(os::real_disk().read(entry.path(), 64 << 20)).find(body) == std::string::npos);
  const auto boot = [&] {
    host.certificates.reset();
    std::filesystem::remove_all(host.paths.tls());
    std::filesystem::create_directories(host.paths.tls());
    host.begin(false);
  };
  const auto sha = host.record().facts.sha256;

  SECTION("unlocked: from its copy") {
    boot();
    CHECK((host.texts["blog"].in_memory && host.texts["blog"].certificate.empty()));
    host.locked = false;
    host.certificates->unlocked();
    host.certificates->tick();
    CHECK(host.loaded["blog"] == sha);
    CHECK(host.engine.orders.size() == 1);
  }
  SECTION("locked: a new key, three times a week, then it waits for the unlock and says why") {
    for (int i = 0; i < 3; ++i) {
      boot();
      host.pass(k_minute);
      CHECK(host.state() == "valid");
      CHECK(host.file_is_good(file));
    }
    CHECK(host.engine.orders.size() == 4);
    CHECK_FALSE(host.engine.orders[3].at("replaces").is_null());
    boot();
    host.pass(k_hour);
    CHECK(host.engine.orders.size() == 4);
    CHECK(says(host.certificates->all()->front().problem, "`chillboxctl unlock` brings it back"));
    host.locked = false;
    host.certificates->unlocked();
    host.certificates->tick();
    CHECK(host.state() == "valid");
    CHECK(host.file_is_good(file));
  }
  SECTION("locked and the CA away: it waits for one of the two") {
    for (int i = 0; i < 30; ++i)
      host.engine.problems.push_back(
          {{"ok", false}, {"problem", {{"type", "network"}, {"detail", "refused"}}}});
    boot();
    host.pass(k_hour);
    CHECK(host.state() == "backing-off");
    host.locked = false;
    host.certificates->unlocked();
    host.certificates->tick();
    INFO(host.record().facts.problem);
    INFO(host.state());
    CHECK(host.loaded["blog"] == sha);
  }
}

TEST_CASE("a key that moves to memory is a new one, and nothing of the old one stays (tls 29)") {
  TlsHost host;
  host.deploy({"blog.example"});
  host.pass(k_minute);
  const auto old = host.record();
  host.deploy({"blog.example"}, R"({"key":"memory"})");
  host.pass(3 * k_minute);
  CHECK(host.engine.orders.size() == 2);
  CHECK(host.record().key.empty());
  CHECK_FALSE(std::filesystem::exists(host.file()));
  CHECK(host.file_is_good(host.paths.tls() + "/blog.pem"));
  CHECK(host.loaded["blog"] == host.record().facts.sha256);
  host.deploy({"blog.example"});
  host.pass(3 * k_minute);
  CHECK(host.file_is_good(host.file()));
  CHECK_FALSE(std::filesystem::exists(host.paths.tls() + "/blog.pem"));
}

TEST_CASE("a certificate that was provided is served, looked at, and no CA is ever asked, nor for its revocation (tls 23) [fault-1212]") {
  TlsHost host;
  Authority ca("Company CA");
  const auto key = crypto::make_certificate_key();
  const auto csr = must(crypto::make_certificate_request(key, {"blog.example"}));
  const auto pem = [&](int64_t days) {
    return cat(std::string_view(key),
        ca.issue(csr,
            {.names = {"blog.example"},
                .from_ms = k_begin - 1'000,
                .until_ms = k_begin + days * k_day}));
  };
  const std::string set = host.paths.secrets_of(site()) + "/tls";
  std::filesystem::create_directories(set);
  must(os::real_disk().write(set + "/blog.pem", pem(90), 0440));
  host.deploy({"blog.example", "www.example"}, R"({"mode":"provided"})");
  CHECK(host.state() == "valid");
  const auto refused = host.certificates->revoke("blog");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::preflight);
  CHECK(says(refused.error().message, "have it revoked where it was issued"));
  CHECK(host.texts["blog"].certificate == host.paths.tls() + "/blog.pem");
  CHECK(host.file_is_good(host.paths.tls() + "/blog.pem"));
  auto now = host.certificates->all()->front();
  CHECK(now.issuer == "Company CA");
  REQUIRE(now.plain.size() == 1);
  CHECK(now.plain[0].name == "www.example");
  host.pass(65 * k_day);
  CHECK(host.record().facts.alert == control::AlertLevel::warning);
  const auto renewal = host.certificates->renew("blog", false);
  REQUIRE_FALSE(renewal);
  CHECK(says(renewal.error().message, "put the new certificate into its secret set"));
  must(os::real_disk().write(
      set + "/blog.pem", "not a certificate", 0440)); // must not take its place
  host.pass(2 * k_day);
  CHECK(host.file_is_good(host.paths.tls() + "/blog.pem"));
  CHECK(host.engine.verbs.empty());
}

TEST_CASE("a site that no longer brings its certificate gets one of its own, and serves the old one until then") {
  for (const char* members : {R"({"key":"memory"})", R"({})"}) {
    TlsHost host;
    Authority ca("Company CA");
    const auto key = crypto::make_certificate_key();
    const auto csr = must(crypto::make_certificate_request(key, {"blog.example"}));
    const std::string set = host.paths.secrets_of(site()) + "/tls";
    std::filesystem::create_directories(set);
    must(os::real_disk().write(set + "/blog.pem",
        cat(std::string_view(key),
            ca.issue(csr,
                {.names = {"blog.example"},
                    .from_ms = k_begin - 1'000,
                    .until_ms = k_begin + 90 * k_day})),
        0440));
    host.deploy({"blog.example"}, R"({"mode":"provided"})");
    const std::string provided = host.record().facts.sha256;
    host.engine.before_answer = [&] { CHECK(host.record().facts.sha256 == provided); };
    host.deploy({"blog.example"}, members);
    host.pass(3 * k_minute);
    REQUIRE(host.engine.orders.size() == 1);
    CHECK(host.engine.orders[0]["replaces"].is_null());
    CHECK(host.state() == "valid");
    CHECK(host.record().facts.sha256 != provided);
    CHECK(host.loaded["blog"] == host.record().facts.sha256);
  }
}

TEST_CASE("a balancer has certificates for what it balances, and lets them go; a host of the fleet asks no CA") {
  TlsHost host;
  host.fleet = {.balancers = {},
      .address = "10.0.0.9",
      .hosts = {"10.0.0.1"},
      .sites = {{"shop", {"shop.example", "www.shop.example"}, 0}}};
  for (const char* name : {"shop.example", "www.shop.example", "www2.shop.example"})
    host.engine.world.a[name] = {"192.0.2.1"};
  host.certificates->fleet_changed();
  host.certificates->tick();
  host.pass(60'000);
  CHECK(host.state("shop") == "valid");
  CHECK(host.texts["shop"].names == std::vector<std::string>{"shop.example", "www.shop.example"});
  host.fleet.sites[0].names.push_back("www2.shop.example");
  host.certificates->fleet_changed();
  host.pass(k_day);
  CHECK(host.texts["shop"].names.size() == 3);
  host.fleet = {};
  host.certificates->fleet_changed();
  host.certificates->tick();
  CHECK(host.state("shop") == "off");
  CHECK(host.texts["shop"].certificate.empty());
  // And a host: what it has is served, and no CA is asked any more.
  host.deploy({"docs.example"}, "", "docs");
  host.pass(k_day);
  CHECK(host.state("docs") == "valid");
  const int before = host.orders_ever();
  host.fleet = {.balancers = {"10.0.0.9"},
      .address = "",
      .hosts = {"10.0.0.1"},
      .sites = {{"blog", {"blog.example"}, 0}, {"docs", {"docs.example"}, 0}}};
  host.deploy({"blog.example"});
  host.pass(80 * k_day);
  CHECK(host.orders_ever() == before);
  CHECK(host.record().facts.problem == "TLS ends at the balancers of its fleet");
  CHECK(host.state("docs") == "valid");
  CHECK_FALSE(host.texts["docs"].certificate.empty());
}

TEST_CASE("the administrator's own files are served as they are") {
  TlsHost host;
  Authority ca("Own CA");
  const auto key = crypto::make_certificate_key();
  const auto csr = must(crypto::make_certificate_request(key, {"blog.example"}));
  const std::string folder = host.paths.certs() + "/blog/";
  std::filesystem::create_directories(folder);
  must(os::real_disk().write(folder + "privkey.pem", key, 0600));
  must(os::real_disk().write(folder + "fullchain.pem",
      ca.issue(csr,
          {.names = {"blog.example"},
              .from_ms = k_begin - 1'000,
              .until_ms = k_begin + 90 * k_day}),
      0600));
  host.deploy({"blog.example"});
  CHECK(host.texts["blog"].certificate == folder);
  CHECK(host.certificates->all()->front().mode == "provided");
  CHECK(host.engine.verbs.empty());
  std::filesystem::remove_all(folder); // the next look sees that they are gone
  host.deploy({"blog.example"});
  CHECK(host.texts["blog"].certificate.empty());
  host.pass(3 * k_minute);
  CHECK(host.state() == "valid");
  CHECK(host.file_is_good(host.file()));
}
