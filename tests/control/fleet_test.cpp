#include "control/fleet.hpp"

#include "base/text.hpp"
#include "catch.hpp"

using namespace chillbox;
using namespace chillbox::control;

namespace {

Roster shop() {
  return {"shop", 3,
      {{"web1", "10.0.0.1", "age1aaa", {"web"}}, {"web2", "2001:db8::2", "age1bbb", {}}}};
}

std::string refused(const Roster& roster) {
  const auto read = parse_roster(roster_text(roster));
  return read ? "taken" : read.error().message;
}

} // namespace

TEST_CASE("a roster is read as it is written, on one line") {
  const auto text = roster_text(shop());
  CHECK(text.find('\n') == std::string::npos);
  const auto read = parse_roster(text).value();
  CHECK(read.fleet == "shop");
  CHECK(read.epoch == 3);
  CHECK(read.hosts == shop().hosts);
  CHECK(read.by_recipient("age1bbb")->name == "web2");
  CHECK(read.by_recipient("age1ccc") == nullptr);
}

TEST_CASE("[fault-883] a roster with what could be more than a name and an address is refused") {
  auto roster = shop();
  CHECK(refused(roster) == "taken");
  for (const char* name : {"", "-H", "a b", "../x", "a\nb"}) {
    roster.hosts[1].name = name;
    CHECK(refused(roster) != "taken");
  }
  roster = shop();
  for (const char* address : {"", "-oProxyCommand=x", "1.2.3.4;", "a b", "unix:/x", "A", "x{"}) {
    roster.hosts[1].address = address;
    CHECK(refused(roster) != "taken");
  }
  roster = shop();
  roster.hosts[1].name = "web1";
  CHECK(refused(roster) == "roster: two hosts have the same name web1");
  roster = shop();
  roster.hosts[1].recipient = "age1aaa";
  CHECK(refused(roster) == "roster: two hosts have the same recipient age1aaa");
  roster = shop();
  roster.hosts[1].recipient = "ssh-ed25519 AAAA";
  CHECK(refused(roster) != "taken");
  roster = shop();
  roster.epoch = 0;
  CHECK(refused(roster) == "roster: no epoch from 1");
  roster = shop();
  roster.fleet = "Shop;";
  CHECK(refused(roster) != "taken");
  roster = shop();
  for (int i = 0; i < 100; ++i)
    roster.hosts.push_back({cat("more", i), "10.0.0.3", cat("age1m", i), {}});
  CHECK(refused(roster) == "roster: 102 hosts, the limit is 100");
  CHECK(!parse_roster("[]"));
  CHECK(!parse_roster(std::string(40'000, ' ')));
}

TEST_CASE("a roster from before there were balanced sites has none; names and sites of one are there once") {
  CHECK(parse_roster(R"({"fleet":"shop","epoch":1,"hosts":[]})").value().balanced.empty());
  auto roster = shop();
  roster.balanced = {{"hello", {"hello.example"}, 5}, {"docs", {"docs.example"}, 0}};
  CHECK(parse_roster(roster_text(roster)).value().balanced == roster.balanced);
  CHECK_FALSE(roster.hosts[0].balances());
  roster.hosts[0].roles = {"web", "balancer"};
  CHECK(roster.hosts[0].balances());
  const auto with = [](const BalancedSite& one) {
    auto other = shop();
    other.balanced = {{"hello", {"hello.example"}, 0}, one};
    return refused(other);
  };
  CHECK(with({"docs", {"docs.example"}, 0}) == "taken");
  CHECK(with({"hello", {"docs.example"}, 0}) == "roster: 'hello' is balanced twice");
  CHECK(with({"docs", {"hello.example"}, 0}) ==
      "roster: two balanced sites have the host name hello.example");
  CHECK(with({"docs", {}, 0}) == "roster: balanced 'docs': 0 host names, it takes 1 to 100");
  for (const char* name : {"", "x;", "{", "A.example", "a b", "x:1", "$host"})
    CHECK(with({"docs", {name}, 0}) != "taken");
  CHECK(with({"../x", {"x.example"}, 0}) != "taken");
}
