#include "fake_openrc.hpp"

#include "openrc/restarts.hpp"

using namespace chillbox;
using namespace chillbox::openrc;

namespace {

// One that is started over and over, on a clock that only sleeping moves.
struct Loop {
  FakeOpenrc host;
  FakeClock clock;
  std::string file = host.root + "/starts";

  // Starts, runs so long, ends; and how long the start waited.
  os::Millis run(os::Millis time) {
    const os::Millis before = clock.mono();
    wait_for_turn(os::real_disk(), clock, file);
    const os::Millis waited = clock.mono() - before;
    clock.m_now += time;
    return waited;
  }
};

} // namespace

TEST_CASE("[attack-C7] what ends again and again waits up to two minutes, and is never given up") {
  Loop loop;
  std::vector<int64_t> seconds;
  for (int i = 0; i < 14; ++i)
    seconds.push_back(loop.run(os::Millis{100}).count() / 1000);
  CHECK(seconds == std::vector<int64_t>{0, 0, 1, 2, 4, 8, 16, 32, 64, 120, 120, 120, 120, 120});
  for (int i = 0; i < 1'000; ++i)
    CHECK(loop.run(os::Millis{100}) == os::Millis{120'000});
}

TEST_CASE("a run of a minute begins the count anew") {
  Loop loop;
  for (int i = 0; i < 6; ++i)
    loop.run(os::Millis{10});
  loop.run(os::Millis{60'000});
  CHECK(loop.run(os::Millis{10}) == os::Millis{0});
  CHECK(loop.run(os::Millis{10}) == os::Millis{0});
  CHECK(loop.run(os::Millis{10}) == os::Millis{1'000});
}

TEST_CASE("a crash loop is seen while it waits and while it runs, and forgotten when it goes well") {
  Loop loop;
  const auto seen = [&] {
    return crash_loop(
        os::real_disk().read(loop.file, k_max_starts).value_or(""), loop.clock.mono());
  };
  CHECK_FALSE(seen());
  loop.run(os::Millis{10});
  loop.run(os::Millis{10});
  CHECK_FALSE(seen()); // once is no loop
  std::optional<os::Millis> in_the_pause;
  loop.clock.meanwhile = [&] {
    loop.clock.m_now -= os::Millis{600};
    in_the_pause = seen();
    loop.clock.m_now += os::Millis{600};
  };
  loop.run(os::Millis{10});
  CHECK(in_the_pause == os::Millis{600});
  CHECK(seen() == os::Millis{0});
  loop.clock.m_now += os::Millis{60'000};
  CHECK_FALSE(seen());
}

TEST_CASE("a file that is none begins the count; one that cannot be written is a second each time") {
  Loop loop;
  put(loop.file, "nonsense");
  CHECK(loop.run(os::Millis{10}) == os::Millis{0});
  loop.file = loop.host.root + "/none/starts";
  for (int i = 0; i < 5; ++i)
    CHECK(loop.run(os::Millis{10}) == os::Millis{1'000});
  CHECK_FALSE(
      crash_loop(os::real_disk().read(loop.file, k_max_starts).value_or(""), loop.clock.mono()));
}
