#include "tls/tls_host.hpp"

using namespace chillbox;
using namespace chillbox::test;

TEST_CASE("a site that is deployed is on https within a minute, with nothing to write") {
  TlsHost host;
  host.deploy({"blog.example", "www.blog.example"});
  CHECK(host.state() == "waiting");
  host.pass(k_minute);
  CHECK(host.state() == "valid");
  REQUIRE(host.engine.orders.size() == 1);
  CHECK(host.engine.orders[0].at("names") == Json::array({"blog.example", "www.blog.example"}));
  CHECK(host.engine.orders[0].at("challenge") == "http-01");
  CHECK(host.engine.orders[0].at("replaces").is_null());
  const auto record = host.record();
  CHECK(host.texts["blog"].certificate == host.file());
  CHECK(host.texts["blog"].names == record.facts.names);
  CHECK(host.loaded["blog"] == record.facts.sha256);
  CHECK(host.file_is_good(host.file()));
  CHECK((std::filesystem::status(host.file()).permissions() & std::filesystem::perms::all) ==
      (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  CHECK_FALSE(std::filesystem::exists(host.file() + ".old"));
  CHECK_FALSE(std::filesystem::exists(host.file() + ".new"));
  CHECK(host.events ==
      std::vector<std::string>{"off>waiting none", "waiting>ordering none",
          "ordering>verifying none", "verifying>installing none", "installing>valid none"});
  CHECK(std::filesystem::is_empty(tls::challenge_dir(host.paths)));
}

TEST_CASE("the engine sees a request and never a key of a site") {
  TlsHost host;
  host.deploy({"blog.example"});
  host.pass(k_minute);
  for (const auto& order : host.engine.orders)
    CHECK(dump(order).find("PRIVATE KEY") == std::string::npos);
  CHECK(host.record().key.find("PRIVATE KEY") != std::string::npos);
}

TEST_CASE("without certificates nothing wakes; with them it is once an hour at most") {
  TlsHost host;
  host.certificates->tick();
  CHECK_FALSE(host.certificates->next_ms());
  host.deploy({"blog.example"});
  host.deploy({"shop.example"}, "", "shop");
  host.deploy({"wiki.example"}, "", "wiki");
  host.pass(2 * k_hour);
  const int ticks = host.pass(24 * k_hour);
  CHECK(ticks >= 1);
  CHECK(ticks <= 24);
}

TEST_CASE("it is renewed at two thirds of its life, with a new key and `replaces` (tls 25)") {
  TlsHost host;
  host.deploy({"blog.example"});
  host.pass(k_minute);
  const auto first = host.record();
  host.pass(29 * k_day);
  CHECK(host.engine.orders.size() == 1);
  host.pass(2 * k_day);
  REQUIRE(host.engine.orders.size() == 2);
  CHECK(host.engine.orders[1].at("replaces") == crypto::first_certificate(first.chain));
  CHECK(host.record().key != first.key);
  CHECK(host.state() == "valid");
  CHECK(host.loaded["blog"] == host.record().facts.sha256);
  CHECK(host.record().facts.sha256 != first.facts.sha256);
}

TEST_CASE("a short life is renewed at its half (tls 25)") {
  TlsHost host;
  host.engine.life_ms = k_day;
  host.deploy({"blog.example"});
  host.pass(k_minute);
  host.pass(11 * k_hour);
  CHECK(host.engine.orders.size() == 1);
  host.pass(3 * k_hour);
  CHECK(host.engine.orders.size() == 2);
  host.pass(10 * k_day);
  CHECK(host.state() == "valid");
  CHECK(host.record().facts.not_after_ms > host.clock.wall_ms());
  CHECK(host.engine.orders.size() >= 20);
}

TEST_CASE("the CA says when: its time, asked for at its Retry-After, and its explanation (tls 27)") {
  TlsHost host;
  host.deploy({"blog.example"});
  host.pass(k_minute);
  const auto at = [&](int64_t ms) { return rfc3339((host.clock.wall_ms() + ms) / 1000); };
  host.engine.ari = {{"start", at(-2 * k_hour)}, {"end", at(-k_hour)}, {"selected", at(-k_hour)},
      {"retry_after", 21'600}, {"explanation", "https://ca.test/why"}};
  host.pass(14 * k_hour); // within one poll
  CHECK(host.engine.orders.size() == 2);
  CHECK(host.certificates->all()->front().explanation == "https://ca.test/why");
  CHECK(host.state() == "valid");
  host.pass(3 * k_day); // a window in the past again and again: not in a loop
  CHECK(host.engine.orders.size() <= 20);
}

TEST_CASE("what is no window is none (tls 27)") {
  TlsHost host;
  host.deploy({"blog.example"});
  host.pass(k_minute);
  for (const Json& ari :
      {Json("x"), Json{{"start", 5}}, Json{{"start", "2027-01-01"}, {"end", "z"}},
          Json{{"start", "2030-01-01T00:00:00Z"}, {"end", "2020-01-01T00:00:00Z"}}, Json()}) {
    host.engine.ari = ari;
    host.pass(k_day);
  }
  CHECK(host.engine.orders.size() == 1);
  CHECK(host.state() == "valid");
}

TEST_CASE("names that come and go, and two deploys within a minute: one order (tls 21)") {
  TlsHost host;
  host.deploy({"blog.example", "old.example"});
  host.pass(k_minute);
  REQUIRE(host.engine.orders.size() == 1);
  host.deploy({"blog.example", "one.example"});
  host.pass(30'000);
  host.deploy({"blog.example", "two.example"});
  CHECK(host.state() == "valid"); // the old one serves until then
  host.pass(2 * k_minute);
  REQUIRE(host.engine.orders.size() == 2);
  CHECK(host.engine.orders[1].at("names") == Json::array({"blog.example", "two.example"}));
  CHECK(host.record().facts.names == std::vector<std::string>{"blog.example", "two.example"});
  host.deploy({"blog.example"});
  host.pass(2 * k_minute);
  CHECK(host.record().facts.names == std::vector<std::string>{"blog.example"});
}

TEST_CASE("a deploy with the same names orders nothing, and a restart neither") {
  TlsHost host;
  host.deploy({"blog.example"});
  host.pass(k_minute);
  for (int i = 0; i < 5; ++i) {
    host.deploy({"blog.example"});
    host.pass(3 * k_minute);
    host.begin();
    host.pass(3 * k_minute);
  }
  CHECK(host.engine.orders.size() == 1);
}

TEST_CASE("many sites at once: one order at a time (tls 22)") {
  TlsHost host;
  host.ticks = false;
  for (int i = 0; i < 30; ++i)
    host.deploy({cat("s", i, ".example")}, "", cat("s", i));
  bool one_at_a_time = true;
  host.engine.before_answer = [&] {
    int ordering = 0;
    for (const auto& row : must(host.store->certificates()))
      ordering += row.state == "ordering" ? 1 : 0;
    one_at_a_time = one_at_a_time && ordering == 1;
  };
  host.certificates->tick();
  host.pass(3 * k_hour);
  CHECK(host.engine.orders.size() == 30);
  CHECK(one_at_a_time);
}

TEST_CASE("a site that goes takes its certificate with it (tls 4 of peers)") {
  TlsHost host;
  host.deploy({"blog.example"});
  host.pass(k_minute);
  must(host.store->delete_site(site()));
  host.certificates->refresh();
  host.certificates->tick();
  CHECK(host.texts["blog"].certificate.empty());
  CHECK_FALSE(std::filesystem::exists(host.file()));
  CHECK_FALSE(must(host.store->certificate("blog")));
  host.pass(60 * k_day);
  CHECK(host.engine.orders.size() == 1);
}

TEST_CASE("tls off: browsers forget first, then the file goes") {
  TlsHost host;
  host.deploy({"blog.example"});
  host.pass(k_hour);
  host.deploy({"blog.example"}, R"({"mode":"off"})");
  CHECK(host.state() == "off");
  CHECK(host.texts["blog"].hsts == 0U);
  CHECK_FALSE(host.texts["blog"].redirect);
  CHECK(host.file_is_good(host.file()));
  host.pass(2 * k_day);
  CHECK(host.texts["blog"].certificate.empty());
  CHECK_FALSE(std::filesystem::exists(host.file()));
  CHECK(host.engine.orders.size() == 1);
  CHECK_FALSE(host.certificates->next_ms());
}

TEST_CASE("the store is lost: the file is taken over, and no CA is asked [fault-316] (tls 2 of peers)") {
  TlsHost host;
  host.deploy({"blog.example"});
  host.pass(k_minute);
  const auto sha = host.record().facts.sha256;
  must(host.store->delete_certificate("blog"));
  host.begin();
  host.pass(k_hour);
  CHECK(host.state() == "valid");
  CHECK(host.record().facts.sha256 == sha);
  CHECK(host.engine.orders.size() == 1);
}

TEST_CASE("no CA is asked for names that no public CA certifies, or when there is none") {
  TlsHost host;
  host.config.tls.acme = "letsencrypt";
  host.deploy({"blog.example"});
  host.pass(k_day);
  CHECK(host.state() == "off");
  CHECK(host.engine.verbs.empty());
  CHECK(says(host.certificates->all()->front().problem, "no public CA"));
  host.config.tls.acme = "off";
  host.deploy({"blog.de"});
  host.pass(k_day);
  CHECK(host.engine.verbs.empty());
}

TEST_CASE("the host's own name has a certificate, too") {
  TlsHost host;
  host.config.server_name = "host.example";
  host.engine.world.a["host.example"] = {"192.0.2.1"};
  host.certificates->refresh();
  host.begin();
  host.pass(k_minute);
  CHECK(host.state("_host") == "valid");
  CHECK(host.texts["_host"].certificate == host.file("_host"));
  CHECK(host.certificates->all()->front().site == "_host");
}

TEST_CASE("what a CA takes is never asked for in full (tls 11, 22)") {
  const int64_t now = k_begin;
  std::vector<store::CertificateOrder> orders;
  const auto add = [&](int64_t before, const std::string& outcome, const std::string& id = "blog") {
    orders.push_back({orders.size() + 1, id, {"a.example"}, now - before, outcome});
  };
  const auto over = [&](const std::string& id = "blog", bool exempt = false) {
    return tls::over_budget(orders, id, {"a.example"}, exempt, now);
  };
  CHECK_FALSE(over());
  add(59 * k_minute, "failed");
  add(30 * k_minute, "begun"); // by a daemon that died: it counts
  CHECK_FALSE(over());
  add(1 * k_minute, "failed");
  REQUIRE(over());
  CHECK(over()->until_ms == now + k_minute);
  CHECK_FALSE(over("shop"));
  orders.clear();
  for (int i = 0; i < 4; ++i)
    add(6 * k_day - i * k_hour, "issued");
  REQUIRE(over());
  CHECK(over()->until_ms == now + k_day);
  CHECK_FALSE(over("blog", true));
  orders.clear();
  for (int i = 0; i < 250; ++i)
    add(2 * k_hour, "issued", std::to_string(i));
  REQUIRE(over("new"));
  CHECK(over("new", true)->until_ms == now + k_hour);
}

TEST_CASE("[fault-1250] tls off while browsers remember it for two months: the file goes after them, without a deploy or a restart") {
  TlsHost host;
  host.engine.life_ms = 90 * k_day;
  host.deploy({"blog.example"});
  host.pass(8 * k_day); // from now on browsers are told 60 days
  host.deploy({"blog.example"}, R"({"mode":"off"})");
  for (int day = 0; day < 59; ++day) {
    CHECK(host.pass(k_day) <= 1);
    host.certificates->tick(); // its thread does not sleep longer than an hour
  }
  CHECK(host.texts["blog"].certificate == host.file());
  host.pass(2 * k_day);
  CHECK(host.texts["blog"].certificate.empty());
  CHECK_FALSE(std::filesystem::exists(host.file()));
}
