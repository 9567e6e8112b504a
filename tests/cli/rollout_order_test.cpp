// Which hosts can walk a rollout by themselves, as the laptop sees it before it signs.
#include "cli/laptop/rollout_order.hpp"

#include "catch.hpp"

using namespace chillbox;

TEST_CASE("a host that cannot report, or cannot read what was ordered, is found before an order is signed") {
  cli::RolloutState state;
  state.site = "hello";
  state.hosts.resize(1);
  state.hosts[0].name = "web1";
  std::vector<control::Facts> facts(1);
  facts[0].fleet = control::FleetSeat{
      .fleet = "shop", .epoch = 1, .host = "web1", .problem = {}, .report_key = "RWkey"};
  facts[0].report_key = "RWkey";
  facts[0].engine = true;
  facts[0].site = control::SiteFacts{.site = "hello", .order_serial = 0};
  CHECK(cli::check_walker(state, facts, 0));
  const auto said = [&] {
    const auto checked = cli::check_walker(state, facts, 0);
    return checked ? "" : checked.error().message;
  };
  facts[0].site->order_serial.reset();
  CHECK(said() ==
      "web1 cannot read its newest order of hello: remove "
      "/var/lib/chillbox/rollouts/hello.json there");
  facts[0].fleet->report_key = "RWold";
  CHECK(said() ==
      "web1 has another report key in the roster of fleet 'shop', so that no host would believe "
      "it: chillboxctl fleet rotate");
  facts[0].fleet->report_key.clear(); // as rosters of before have it
  CHECK(said() ==
      "web1 has no report key in the roster of fleet 'shop', so that no host would believe it: "
      "chillboxctl fleet rotate");
}
