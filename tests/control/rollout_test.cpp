#include "control/rollout.hpp"

#include "base/text.hpp"
#include "catch.hpp"

using namespace chillbox;
using namespace chillbox::control;

namespace {

RolloutOrder hello() {
  RolloutOrder order;
  order.fleet = "shop";
  order.site = "hello";
  order.version = "1.2.0";
  order.sha256 = std::string(64, 'a');
  order.signature = "untrusted comment: x";
  order.size = 1000;
  order.serial = 41;
  order.batches = {{{"web1"}}, {{"web2", "web3"}}};
  order.on_failure = "rollback";
  order.deadline_ms = 1'700'000'000'000;
  return order;
}

std::string refusal(const RolloutOrder& order) {
  const auto read = parse_order(order_text(order));
  return read ? "taken" : read.error().message;
}

} // namespace

TEST_CASE("an order is read as it is written, on one line, and its serials compare as numbers do") {
  CHECK(order_text(hello()).find('\n') == std::string::npos);
  CHECK(parse_order(order_text(hello())).value() == hello());
  CHECK(serial_text(41) == "00000000000000000041");
  CHECK(serial_text(9) < serial_text(10));
  CHECK(serial_text(UINT64_MAX).size() == 20);
}

TEST_CASE("[fault-884] an order that could mean two things, or nothing, is refused") {
  CHECK(refusal(hello()) == "taken");
  const auto with = [](const std::function<void(RolloutOrder&)>& change) {
    auto order = hello();
    change(order);
    return refusal(order);
  };
  CHECK(with([](auto& o) { o.serial = 0; }) == "order of a rollout: no serial from 1");
  CHECK(with([](auto& o) { o.batches.clear(); }) ==
      "order of a rollout: 0 hosts, it must be 1 to 100");
  CHECK(with([](auto& o) { o.batches[1].hosts.clear(); }) ==
      "order of a rollout: a batch without hosts");
  CHECK(with([](auto& o) { o.batches[1].hosts[0] = "web1"; }) ==
      "order of a rollout: host 'web1' twice");
  CHECK(with([](auto& o) { o.batches[1].hosts[0] = "../x"; }) != "taken");
  CHECK(with([](auto& o) { o.max_unavailable = 0; }) ==
      "order of a rollout: max_unavailable is 0: no host could begin");
  CHECK(with([](auto& o) { o.max_unavailable = 4; }) ==
      "order of a rollout: max_unavailable is 4 of 3 hosts");
  CHECK(with([](auto& o) { o.bake_ms = 86'400'001; }) ==
      "order of a rollout: bake or drain of more than 24 h");
  CHECK(with([](auto& o) { o.on_failure = "restart"; }) ==
      "order of a rollout: on_failure must be stop or rollback");
  CHECK(with([](auto& o) { o.deadline_ms = 0; }) == "order of a rollout: no deadline");
  CHECK(with([](auto& o) { o.signature.clear(); }) != "taken");
  CHECK(with([](auto& o) { o.site = "../hello"; }) != "taken");
  CHECK(with([](auto& o) { o.sha256 = "b"; }) != "taken");
  CHECK(with([](auto& o) { o.version = "a b"; }) != "taken");
  CHECK(!parse_order("[]"));
  CHECK(parse_order(std::string(50'000, ' ')).error().code == Code::too_large);
}

TEST_CASE("[fault-885] a report of a state that nobody knows is refused, and what it says is made printable") {
  CHECK(!parse_report(R"({"host":"web1","state":"won"})"));
  CHECK(!parse_report("nothing"));
  const auto report =
      parse_report("{\"host\":\"web1\",\"state\":\"failed\",\"message\":\"a\\u001bb\"}").value();
  CHECK(report.state == HostTurn::failed);
  CHECK(report.message.find('\x1b') == std::string::npos);
  CHECK(parse_stop("\x01").by.empty());
  CHECK(parse_stop(stop_text({"kim", "not now"})).why == "not now");
}

TEST_CASE("the verdict on the hosts of a rollout") {
  using enum HostTurn;
  const auto of = [](const std::vector<HostVerdict>& hosts) {
    const auto verdict = verdict_of_hosts("2.0", hosts);
    return verdict ? "ok" : cat(code_name(verdict.error().code), ": ", verdict.error().message);
  };
  CHECK(of({{"a", done, ""}, {"b", done, "x"}}) == "ok");
  CHECK(of({{"a", failed, "no"}, {"b", staged, ""}}) ==
      "unhealthy: all hosts have what they had; a: no");
  CHECK(of({{"a", rolled_back, "back"}, {"b", failed, "no"}}) ==
      "rolled_back: all hosts are back at what they had; b: no");
  CHECK(of({{"a", done, ""}, {"b", failed, "no"}}) ==
      "partial: 1 of 2 hosts have 2.0, the others do not; b: no");
  CHECK(of({{"a", stuck, "held"}, {"b", rolled_back, ""}, {"c", failed, "no"}}) ==
      "partial: 1 of 3 hosts have 2.0, the others do not; a: held; c: no");
  CHECK(of({{"a", done, ""}, {"b", waiting, "no report of it"}}) ==
      "partial: 1 of 2 hosts have 2.0, the others do not; b: no report of it");
  CHECK(of({{"a", done, ""}, {"b", begun, ""}}) ==
      "partial: 2 of 2 hosts have 2.0, and not all are done");
}
