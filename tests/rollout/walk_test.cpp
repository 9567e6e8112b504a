// next_step(): what a host does next, in the cases of a fleet.
#include "rollout/walk.hpp"

#include "base/text.hpp"
#include "catch.hpp"

#include <set>

using namespace chillbox;
using control::HostTurn;
using rollout::WalkStep;

namespace {

constexpr int64_t k_deadline = 1'000'000;

struct Fleet3 {
  control::RolloutOrder order;
  rollout::Walked walked;
  rollout::Seen seen;

  // web1 is the canary, web2 and web3 are the other batch.
  explicit Fleet3(const std::string& me = "web1") {
    order.site = "hello";
    order.version = "2.0.0";
    order.sha256 = "new";
    order.serial = 7;
    order.batches = {{{"web1"}}, {{"web2", "web3"}}};
    order.bake_ms = 1'000;
    order.deadline_ms = k_deadline;
    walked.mine.host = me;
    seen.fresh = true;
    seen.now_ms = 5'000;
    seen.live = "1.0.0-1";
    seen.live_sha256 = "old";
  }
  Fleet3& mine(HostTurn turn) {
    walked.mine.state = turn;
    walked.mine.seq = walked.told = 1;
    walked.mine.live = seen.live;
    if (turn == HostTurn::live || turn == HostTurn::done) {
      seen.live = walked.mine.live = "2.0.0-2";
      seen.live_sha256 = "new";
      walked.mine.before = "1.0.0-1";
      walked.live_ms = 5'000;
    }
    return *this;
  }
  Fleet3& other(const std::string& host, HostTurn turn) {
    auto& report = walked.others[host];
    report.host = host;
    report.state = turn;
    ++report.seq;
    return *this;
  }
  Fleet3& goes_back() {
    order.on_failure = "rollback";
    return *this;
  }
  Fleet3& at(int64_t ms) {
    seen.now_ms = ms;
    return *this;
  }
  rollout::NextStep next() const { return rollout::next_step(order, walked, seen); }
  WalkStep step() const { return next().step; }
};

} // namespace

TEST_CASE("a host stages what was ordered, reports it, and the canary takes a slot") {
  Fleet3 web1;
  CHECK(web1.step() == WalkStep::stage);
  web1.mine(HostTurn::staged);
  web1.walked.told = 0;
  CHECK(web1.step() == WalkStep::tell);
  web1.walked.told = 1;
  CHECK(web1.step() == WalkStep::take_slot);
  CHECK(web1.next().slots == 1);
  web1.seen.fresh = false; // a view of before the cut decides nothing
  CHECK(web1.step() == WalkStep::wait);
  CHECK(web1.next().why == "the engine does not answer");
}

TEST_CASE("no host of a batch begins before all of the batches before it are done") {
  for (const auto turn : {HostTurn::waiting, HostTurn::staged, HostTurn::begun, HostTurn::live,
           HostTurn::outside, HostTurn::skipped_sealed, HostTurn::stuck, HostTurn::rolled_back}) {
    Fleet3 web2("web2");
    web2.mine(HostTurn::staged).other("web1", turn);
    CHECK(web2.step() == WalkStep::wait);
    CHECK(web2.next().at_ms == k_deadline);
  }
  Fleet3 web2("web2");
  web2.mine(HostTurn::staged);
  CHECK(web2.next().why == "web1 comes first"); // of which there is no report at all
  web2.other("web1", HostTurn::done);
  CHECK(web2.step() == WalkStep::take_slot); // whatever web3 of the same batch does
  web2.other("web3", HostTurn::begun);
  CHECK(web2.step() == WalkStep::take_slot);
}

TEST_CASE("after a stop, a failure or the deadline nobody begins") {
  Fleet3 web2("web2");
  web2.mine(HostTurn::staged).other("web1", HostTurn::done);
  web2.seen.stopped = true;
  CHECK(web2.step() == WalkStep::wait);
  web2.seen.stopped = false;
  CHECK(web2.step() == WalkStep::take_slot);
  web2.at(k_deadline);
  CHECK(web2.step() == WalkStep::end);
  CHECK(web2.next().why == "the deadline passed before its turn");
  web2.at(5'000).other("web3", HostTurn::failed);
  CHECK(web2.step() == WalkStep::end);
  CHECK(web2.next().why == "web3 failed before its turn");
}

TEST_CASE("who waits for an unlock or for the engine after the deadline waits for no time") {
  for (const auto turn : {HostTurn::live, HostTurn::done})
    for (const bool sealed : {false, true})
      for (const bool fresh : {false, true})
        for (const bool failed : {false, true}) {
          Fleet3 web1;
          web1.mine(turn).goes_back().at(k_deadline + 5);
          web1.walked.live_ms = k_deadline;
          web1.seen.sealed = sealed;
          web1.seen.fresh = fresh;
          if (failed)
            web1.other("web2", HostTurn::failed);
          const auto next = web1.next();
          if (next.step == WalkStep::wait)
            CHECK((next.at_ms == 0 || next.at_ms > web1.seen.now_ms));
          if (next.why == "locked" || next.why == "no word from others")
            CHECK(next.at_ms == 0); // the unlock, or the engine, wakes it
        }
  Fleet3 web1;
  web1.mine(HostTurn::done).goes_back().at(k_deadline + 5).seen.sealed = true;
  CHECK(web1.next().why == "locked");
}

TEST_CASE("while this host's clock is not the engine's no deadline passes, and no bake ends") {
  Fleet3 web1;
  web1.mine(HostTurn::done).goes_back().at(k_deadline + 5);
  CHECK(web1.step() == WalkStep::go_back);
  web1.seen.clock = "the clock of this host is 3600 s ahead of the fleet's engine";
  CHECK(web1.step() == WalkStep::wait);
  CHECK(web1.next().why == web1.seen.clock);
  CHECK(web1.next().at_ms > web1.seen.now_ms); // nothing tells of a clock
  web1.mine(HostTurn::live);
  CHECK(web1.step() == WalkStep::wait);
  web1.mine(HostTurn::staged);
  CHECK(web1.step() == WalkStep::wait);
  web1.mine(HostTurn::begun);
  CHECK(web1.step() == WalkStep::carry_on); // it finishes what it had begun
}

TEST_CASE("[fault-875] the canary fails: no other host was touched, none begins, and it does no more itself") {
  Fleet3 web1;
  CHECK(web1.mine(HostTurn::failed).step() == WalkStep::end);
  for (const auto turn : {HostTurn::waiting, HostTurn::staged, HostTurn::skipped_sealed}) {
    Fleet3 web2("web2");
    CHECK(web2.mine(turn).other("web1", HostTurn::failed).step() == WalkStep::end);
  }
}

TEST_CASE("[fault-876] a later host fails: who is done goes back if the order says so, else keeps it") {
  for (const auto turn : {HostTurn::live, HostTurn::done}) {
    Fleet3 web1;
    web1.mine(turn).other("web2", HostTurn::failed).goes_back();
    CHECK(web1.step() == WalkStep::go_back);
    CHECK(web1.next().why == "web2 failed");
    web1.seen.sealed = true; // it cannot now
    CHECK(web1.step() == WalkStep::wait);
  }
  Fleet3 web1;
  CHECK(web1.mine(HostTurn::done).other("web2", HostTurn::failed).step() == WalkStep::end);
  Fleet3 baking;
  CHECK(baking.mine(HostTurn::live).other("web2", HostTurn::failed).step() == WalkStep::wait);
}

TEST_CASE("[fault-877] a rollback that failed is not tried again, and neither is one that was done") {
  for (const auto turn : {HostTurn::stuck, HostTurn::rolled_back, HostTurn::outside}) {
    Fleet3 web1;
    web1.mine(turn).other("web2", HostTurn::failed).goes_back();
    CHECK(web1.step() == WalkStep::end);
    CHECK(web1.at(k_deadline).step() == WalkStep::end);
  }
  Fleet3 again; // after a restart within it
  again.mine(HostTurn::done).walked.back = "job";
  CHECK(again.step() == WalkStep::go_back);
}

TEST_CASE("[fault-878] a host is off: the others wait to the deadline, not longer, and it goes on when it is back") {
  Fleet3 web1;
  web1.mine(HostTurn::done).other("web2", HostTurn::done);
  CHECK(web1.step() == WalkStep::wait);
  CHECK(web1.next().why == "waits for web3");
  CHECK(web1.at(k_deadline).step() == WalkStep::end);
  web1.goes_back();
  CHECK(web1.step() == WalkStep::go_back);
  CHECK(web1.next().why == "the deadline passed without web3");
  web1.seen.fresh = false; // web3 may be done since
  CHECK(web1.step() == WalkStep::wait);
  Fleet3 web3("web3");
  web3.other("web1", HostTurn::done).other("web2", HostTurn::done);
  CHECK(web3.step() == WalkStep::stage);
  CHECK(web3.mine(HostTurn::staged).step() == WalkStep::take_slot);
}

TEST_CASE("once all are known to be done, nothing that is said later changes what is live") {
  Fleet3 web1;
  web1.mine(HostTurn::done).goes_back();
  web1.other("web2", HostTurn::done).other("web3", HostTurn::done);
  CHECK(web1.step() == WalkStep::end);
  CHECK(web1.at(k_deadline + 1).step() == WalkStep::end);
}

TEST_CASE("the bake: done at its end, and outside if something else is live by then") {
  Fleet3 web1;
  web1.mine(HostTurn::live);
  CHECK(web1.step() == WalkStep::wait);
  CHECK(web1.next().at_ms == 6'000);
  CHECK(web1.at(6'000).step() == WalkStep::done);
  web1.seen.live_sha256 = "another";
  CHECK(web1.step() == WalkStep::outside);
  Fleet3 done;
  done.mine(HostTurn::done).other("web2", HostTurn::failed).goes_back();
  done.seen.live_sha256 = "another"; // somebody deployed there: that is not taken away
  CHECK(done.step() == WalkStep::outside);
}

TEST_CASE("[fault-879] [fault-910] a locked host is left out, counts as one that is out until it is unlocked, and goes on then") {
  Fleet3 web2("web2");
  web2.seen.sealed = true;
  CHECK(web2.step() == WalkStep::skip);
  CHECK(web2.mine(HostTurn::staged).step() == WalkStep::skip);
  CHECK(web2.mine(HostTurn::skipped_sealed).step() == WalkStep::wait);
  web2.seen.sealed = false;
  CHECK(web2.step() == WalkStep::unlocked); // the others need not wait until it has staged
  CHECK(web2.mine(HostTurn::waiting).step() == WalkStep::stage);
  Fleet3 web3("web3");
  web3.mine(HostTurn::staged).other("web1", HostTurn::done).other("web2", HostTurn::skipped_sealed);
  CHECK(web3.step() == WalkStep::wait);
  CHECK(web3.next().why == "as many hosts are locked as may be out at the same time");
  web3.order.max_unavailable = 2;
  CHECK(web3.next().slots == 1);
  web3.other("web2", HostTurn::staged);
  CHECK(web3.next().slots == 2);
}

TEST_CASE("what was begun is carried on, whatever else is said") {
  Fleet3 web1;
  web1.mine(HostTurn::begun).other("web2", HostTurn::failed).goes_back().at(k_deadline + 1);
  web1.seen.stopped = web1.seen.sealed = true;
  web1.seen.fresh = false;
  CHECK(web1.step() == WalkStep::carry_on);
}

TEST_CASE("a deploy next to the rollout is reported once, and a site on hold waits") {
  Fleet3 web2("web2");
  web2.mine(HostTurn::staged);
  web2.seen.live = "1.5.0-9";
  CHECK(web2.step() == WalkStep::note);
  web2.walked.mine.live = "1.5.0-9";
  CHECK(web2.step() == WalkStep::wait);
  Fleet3 web1;
  web1.mine(HostTurn::staged).seen.blocked = "held by kim";
  CHECK(web1.step() == WalkStep::wait);
  CHECK(web1.next().why == "held by kim");
}

TEST_CASE("an order that is for others is none of this host's business") {
  CHECK(Fleet3("web9").step() == WalkStep::end);
}

TEST_CASE("every sequence of what can happen ends with one version, or with a host that says why") {
  // All states of two others, with each of what this host can see: it never begins outside of its
  // turn, and never goes back without a failure or the deadline.
  const auto turns = {HostTurn::waiting, HostTurn::staged, HostTurn::begun, HostTurn::live,
      HostTurn::done, HostTurn::failed, HostTurn::rolled_back, HostTurn::stuck,
      HostTurn::skipped_sealed, HostTurn::outside};
  size_t begins = 0, backs = 0;
  for (const auto mine : turns)
    for (const auto first : turns)
      for (const auto third : turns)
        for (unsigned bits = 0; bits < 32; ++bits) {
          Fleet3 web2("web2");
          web2.mine(mine).other("web1", first).other("web3", third);
          web2.seen.sealed = (bits & 1) != 0;
          web2.seen.stopped = (bits & 2) != 0;
          web2.seen.fresh = (bits & 4) != 0;
          if ((bits & 8) != 0)
            web2.goes_back();
          if ((bits & 16) != 0)
            web2.at(k_deadline);
          const auto step = web2.step();
          const bool failure = first == HostTurn::failed || third == HostTurn::failed;
          if (step == WalkStep::take_slot) {
            ++begins;
            CHECK((mine == HostTurn::staged && first == HostTurn::done && !failure));
            CHECK((bits & 1) == 0);
            CHECK((bits & 2) == 0);
            CHECK((bits & 4) != 0);
            CHECK((bits & 16) == 0);
          }
          if (step == WalkStep::go_back) {
            ++backs;
            CHECK((mine == HostTurn::live || mine == HostTurn::done));
            CHECK((bits & 8) != 0);
            CHECK((failure || (bits & 16) != 0));
            CHECK_FALSE(
                (first == HostTurn::done && third == HostTurn::done && mine == HostTurn::done));
          }
        }
  CHECK(begins > 0);
  CHECK(backs > 0);
}

TEST_CASE("a rollout is over when all are done, or nobody moves any more") {
  const Fleet3 fleet;
  const auto over = [&](HostTurn a, HostTurn b, HostTurn c, int64_t now, bool back) {
    auto order = fleet.order;
    order.on_failure = back ? "rollback" : "stop";
    rollout::Reports all;
    all["web1"].state = a;
    all["web2"].state = b;
    all["web3"].state = c;
    return rollout::is_over(order, all, now);
  };
  using enum HostTurn;
  CHECK(over(done, done, done, 1, false));
  CHECK_FALSE(over(done, done, live, 1, false));
  CHECK(over(done, failed, staged, 1, false));
  CHECK_FALSE(over(done, failed, begun, 1, false));
  CHECK_FALSE(over(rolled_back, begun, staged, k_deadline, true));
  CHECK(over(rolled_back, begun, staged, k_deadline + 60'000, true)); // it died
  CHECK_FALSE(over(done, failed, staged, 1, true));
  CHECK(over(rolled_back, failed, staged, 1, true));
  CHECK(over(stuck, failed, staged, 1, true));
  CHECK_FALSE(over(done, staged, waiting, 1, false));
  CHECK(over(done, staged, waiting, k_deadline, false));
  CHECK_FALSE(over(done, staged, waiting, k_deadline, true));
  CHECK(over(done, staged, waiting, k_deadline + 300'000, true));
  CHECK(rollout::rows_of(fleet.order, {}).size() == 3);
  CHECK(rollout::rows_of(fleet.order, {}).front().message == "no report of it");
}
