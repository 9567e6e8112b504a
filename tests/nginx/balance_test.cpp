#include "sample.hpp"

using namespace chillbox;
using namespace chillbox::nginx;

namespace {

control::Roster shop() {
  return {"shop", 3,
      {{"web1", "10.0.0.1", "age1aaa", {"web"}}, {"web2", "10.0.0.2", "age1bbb", {}},
          {"front", "10.0.0.9", "age1ccc", {"balancer"}}},
      {{"hello", {"hello.example", "www.hello.example"}, 0}, {"docs", {"docs.example"}, 5'000}}};
}

Fleet fleet_at(const control::Roster& roster, size_t host) {
  return fleet_of(roster, roster.hosts[host]).value();
}

std::string refusal(const control::Roster& roster) {
  const auto fleet = fleet_of(roster, roster.hosts.front());
  return fleet ? "taken" : fleet.error().message;
}

std::string at(const Fleet& fleet, bool ipv6 = false) {
  return render_host({}, os::Paths{}, "g", {.ipv6 = ipv6, .fleet = fleet});
}

} // namespace

TEST_CASE("a balancer passes on to the hosts that are none, and each host believes it alone") {
  const auto front = fleet_at(shop(), 2), web = fleet_at(shop(), 0);
  CHECK(front.hosts == std::vector<std::string>{"10.0.0.1", "10.0.0.2"});
  CHECK(front.address == "10.0.0.9");
  CHECK(front.balancers.empty());
  CHECK(front.takes_visitors_of("hello"));
  CHECK_FALSE(front.takes_visitors_of("other"));
  CHECK_FALSE(web.balances());
  CHECK(web.balanced("hello"));
  CHECK_FALSE(web.takes_visitors_of("hello"));
  CHECK(web.balancers == std::vector<std::string>{"10.0.0.9"});

  const auto text = at(front), of_web = at(web);
  CHECK(has(text,
      "upstream chillbox_balanced_hello {\n  zone chillbox_balanced_hello 128k;\n  server 10.0.0.1:80 max_fails=1 fail_timeout=10s;\n  server 10.0.0.2:80 max_fails=1 fail_timeout=10s;\n"));
  CHECK(has(text, "server_name hello.example www.hello.example;"));
  CHECK(has(text, "proxy_bind 10.0.0.9;"));
  CHECK(has(text, "client_max_body_size 33554432;"));
  CHECK(has(text, "client_max_body_size 5000;"));
  CHECK(has(text, "include /var/lib/chillbox/certs/hello.con[f];"));
  CHECK_FALSE(has(text, "non_idempotent"));
  CHECK_FALSE(has(text, "Host $http_host")); // which need not be the name of this server
  CHECK_FALSE(has(text, "set_real_ip_from"));
  CHECK_FALSE(has(of_web, "chillbox_balanced_"));
  CHECK(has(of_web,
      "  server_name \"~^hello\\.example$\" \"~^www\\.hello\\.example$\" \"~^docs\\.example$\";\n"));
  CHECK(has(of_web,
      "real_ip_header X-Forwarded-For;\nreal_ip_recursive on;\nset_real_ip_from 10.0.0.9;\n"));
  CHECK(
      has(of_web, "geo $realip_remote_addr $chillbox_balanced {\n  default 0;\n  10.0.0.9 1;\n}"));
  CHECK(has(of_web, "geo $realip_remote_addr $chillbox_trusted {\n  default 0;\n  10.0.0.9 1;\n}"));
}

TEST_CASE("[attack-G48] without a fleet nobody may refuse a request, and no proxy is believed") {
  const auto text = at({});
  CHECK(has(text, "geo $realip_remote_addr $chillbox_balanced {\n  default 0;\n}"));
  CHECK_FALSE(has(text, "set_real_ip_from"));
  auto roster = shop();
  roster.balanced.clear(); // who balances nothing is believed nothing
  Fleet alone;
  alone.others = {"10.0.0.2", "10.0.0.9"};
  CHECK(fleet_at(roster, 0) == alone);
}

TEST_CASE("a balancer that chillboxd.toml trusts already is named once") {
  config::HostConfig host;
  host.trusted_proxies = {"10.0.0.9"};
  const auto text = render_host(host, os::Paths{}, "g", {.fleet = fleet_at(shop(), 0)});
  CHECK(count(text, "set_real_ip_from 10.0.0.9;") == 1);
  host.tls.proxy_protocol = true; // then what a header says counts for nobody
  host.trusted_proxies = {"10.0.0.7"};
  CHECK_FALSE(has(render_host(host, os::Paths{}, "g", {.fleet = fleet_at(shop(), 0)}),
      "set_real_ip_from 10.0.0.9;"));
}

TEST_CASE("[fault-890] balanced sites need private IP addresses of one kind, and host names") {
  CHECK(refusal(shop()) == "taken");
  for (const char* address : {"web1.example", "203.0.113.7", "2001:db8::1", "fd00::1", "11.0.0.1",
           "172.32.0.1", "10.0.0.1:80", "fe80::1"}) {
    auto roster = shop();
    roster.hosts[1].address = address;
    CHECK(refusal(roster) != "taken");
    roster.balanced.clear(); // whatever it is otherwise
    CHECK(refusal(roster) == "taken");
  }
  for (const char* address : {"172.31.255.255", "192.168.0.1", "100.64.0.1", "127.0.0.1"}) {
    auto roster = shop();
    roster.hosts[1].address = address;
    CHECK(refusal(roster) == "taken");
  }
  for (const char* name : {"*.example", "-x.example", "x..example", "x.example."}) {
    auto roster = shop();
    roster.balanced[0].names = {name};
    CHECK(refusal(roster) != "taken");
  }
}

TEST_CASE("IPv6 addresses are in brackets where NGINX wants them, and nowhere else") {
  auto roster = shop();
  roster.hosts[0].address = "fd00::1";
  roster.hosts[1].address = "fd00::2";
  roster.hosts[2].address = "fd00::9";
  CHECK(
      has(at(fleet_at(roster, 2), true), "  server [fd00::2]:80 max_fails=1 fail_timeout=10s;\n"));
  CHECK(has(at(fleet_at(roster, 2), true), "proxy_bind [fd00::9];"));
  CHECK(has(at(fleet_at(roster, 0), true), "set_real_ip_from fd00::9;"));
}

TEST_CASE("every server of a site closes a balancer's connection while there is a flag, before anything else") {
  const Sample s;
  const auto text = render_site(s.input({Sample::service("api", "python")})).value();
  CHECK(has(text,
      "  set $chillbox_elsewhere \"\";\n"
      "  if (-f /srv/chillbox/.drain) { set $chillbox_elsewhere $chillbox_first; }\n"
      "  if (-f /srv/chillbox/blog/drain) { set $chillbox_elsewhere $chillbox_first; }\n"
      "  if (-f /run/chillbox/sealed/blog) { set $chillbox_elsewhere $chillbox_first; }\n"
      "  if (-f /srv/chillbox/blog/maintenance) { set $chillbox_elsewhere $chillbox_first; }\n"
      "  if ($chillbox_elsewhere) { return 444; }\n"));
}
