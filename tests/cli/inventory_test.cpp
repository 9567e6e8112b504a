#include "cli/fleet/inventory.hpp"

#include "catch.hpp"

using namespace chillbox;
using namespace chillbox::cli;

namespace {

constexpr std::string_view k_inventory =
    R"({"_meta":{"hostvars":{"web1":{"ansible_host":"2001:db8::10","ansible_user":"root"},
"web2":{"ansible_host":"fe80::1%eth0"},"web3":{"ansible_host":"[2001:db8::30]"},
"web4":{"ansible_host":"192.0.2.4"},"2001:db8::20":{}}},
"all":{"children":["web"]},"web":{"hosts":["web1","web2","web3","web4","2001:db8::20"]}})";

std::string said(const std::string& part) {
  const auto inventory = parse_inventory(k_inventory).value();
  const auto chosen = choose(inventory, {part});
  return chosen ? chosen->front().name : chosen.error().message;
}

} // namespace

TEST_CASE("[fault-287] an address of IPv6 in an inventory is one for ssh and, in brackets, of a URL") {
  const auto inventory = parse_inventory(k_inventory).value();
  std::map<std::string, std::pair<std::string, std::string>> hosts;
  for (const auto& host : inventory.hosts)
    hosts[host.name] = {host.target, host.url};
  CHECK(hosts["web1"] ==
      std::pair<std::string, std::string>("root@2001:db8::10", "https://[2001:db8::10]"));
  CHECK(hosts["web2"] ==
      std::pair<std::string, std::string>("fe80::1%eth0", "https://[fe80::1%25eth0]"));
  CHECK(hosts["web3"] ==
      std::pair<std::string, std::string>("2001:db8::30", "https://[2001:db8::30]"));
  CHECK(hosts["web4"] == std::pair<std::string, std::string>("192.0.2.4", "https://192.0.2.4"));
  CHECK(hosts["2001:db8::20"].second == "https://[2001:db8::20]");
}

TEST_CASE("[fault-287] a --limit that only Ansible knows is refused with the forms that there are; an address is none") {
  for (const char* part : {"web:db", "web:!web1", "~web[0-9]", "@retry", "web[0]", "!web:x"})
    CHECK(said(part).find("separated by commas") != std::string::npos);
  CHECK(said("2001:db8::20") == "2001:db8::20");
  CHECK(said("web1") == "web1");
  CHECK(said("w*2") == "web2");
  CHECK(said("wep").find("no host or group 'wep'") != std::string::npos);
}
