#include "os/clock.hpp"

#include <cerrno>
#include <ctime>

namespace chillbox::os {
namespace {

int64_t in_ms(const timespec& t) {
  return static_cast<int64_t>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000;
}

class RealClock final : public Clock {
public:
  int64_t wall() const override { return wall_ms() / 1000; }

  int64_t wall_ms() const override {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return in_ms(now);
  }

  Millis mono() const override {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return Millis{in_ms(now)};
  }

  void sleep(Millis time) override {
    if (time <= Millis::zero())
      return;
    timespec left{static_cast<time_t>(time.count() / 1000),
        static_cast<long>(time.count() % 1000) * 1'000'000};
    while (::clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {}
  }
};

} // namespace

Clock& real_clock() {
  static RealClock clock;
  return clock;
}

} // namespace chillbox::os
