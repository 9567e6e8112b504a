#include "courier/leases.hpp"

#include "base/text.hpp"

#include "catch.hpp"

using namespace chillbox;
using namespace chillbox::courier;

namespace {

constexpr std::chrono::seconds k_none{0}, k_claim{600}, k_week{7 * 24 * 3600};

struct Etcd {
  os::Millis now{1'000'000};
  bool away = false;
  std::vector<std::chrono::seconds> lives; // of the leases that it gave
  HostLeases leases{[this](std::chrono::seconds life) -> Result<std::string> {
                      if (away)
                        return fail(Code::unreachable, "no answer");
                      lives.push_back(life);
                      return cat(lives.size());
                    },
      [this] { return now; }};
  std::string of(bool leased, std::chrono::seconds kept) {
    const auto found = leases.of({{.key = "a", .text = "x", .leased = leased, .kept = kept}});
    return found ? found->at(leased ? k_none : kept) : found.error().message;
  }
};

} // namespace

TEST_CASE("what is kept for a time has a lease a sixteenth longer, which others share meanwhile") {
  Etcd etcd;
  CHECK(etcd.of(false, k_claim) == "1");
  CHECK(etcd.lives.back() == std::chrono::seconds{637});
  etcd.now += os::Millis{36'000};
  CHECK(etcd.of(false, k_claim) == "1");
  CHECK(etcd.of(false, k_week) == "2");
  etcd.now += os::Millis{1'000};
  CHECK(etcd.of(false, k_claim) == "3");
}

TEST_CASE("a lease that the engine did not give is asked for again, and no older one is used for it [fault-909]") {
  Etcd etcd;
  CHECK(etcd.of(false, k_claim) == "1");
  etcd.now += os::Millis{630'000}; // it is about to end
  etcd.away = true;
  CHECK(etcd.of(false, k_claim) == "no answer");
  CHECK(etcd.of(false, k_claim) == "no answer");
  CHECK(etcd.of(true, k_none) == "no answer");
  CHECK(etcd.leases.kept_alive().empty());
  etcd.away = false;
  CHECK(etcd.of(false, k_claim) == "2");
  CHECK(etcd.of(true, k_none) == "3");
}

TEST_CASE("a timed lease that is gone does not take the one that is kept alive along") {
  Etcd etcd;
  CHECK(etcd.of(true, k_none) == "1");
  CHECK(etcd.of(false, k_claim) == "2");
  etcd.leases.lost({{k_claim, "2"}});
  CHECK(etcd.leases.kept_alive() == "1");
  CHECK(etcd.of(false, k_claim) == "3");
  etcd.leases.lost({{k_none, "1"}});
  CHECK(etcd.leases.kept_alive().empty());
  CHECK(etcd.of(true, k_none) == "4");
}

TEST_CASE("a lease of which nothing was heard for its life is given up, and asked about each 5 s before") {
  Etcd etcd;
  CHECK(etcd.of(true, k_none) == "1");
  CHECK(etcd.leases.due() == etcd.now + os::Millis{20'000});
  etcd.now += os::Millis{60'000};
  etcd.leases.silent();
  CHECK(etcd.leases.kept_alive() == "1");
  CHECK(etcd.leases.due() == etcd.now + os::Millis{5'000});
  etcd.now += os::Millis{1};
  etcd.leases.silent();
  CHECK(etcd.leases.kept_alive().empty());
}
