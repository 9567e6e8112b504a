// Seam: time. Deadlines use mono(), records and webhook tolerance use wall().
#pragma once

#include <chrono>
#include <cstdint>

namespace chillbox::os {

using Millis = std::chrono::milliseconds;

class Clock {
public:
  virtual ~Clock() = default;
  virtual int64_t wall() const = 0; // seconds since 1970, UTC
  virtual int64_t wall_ms() const = 0;
  virtual Millis mono() const = 0; // CLOCK_MONOTONIC
  virtual void sleep(Millis time) = 0;
};

Clock& real_clock();

} // namespace chillbox::os
