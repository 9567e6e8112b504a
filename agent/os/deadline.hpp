// A moment on the monotonic clock, as poll(2) wants it.
#pragma once

#include "os/clock.hpp"

#include <algorithm>
#include <climits>
#include <cstdint>

namespace chillbox::os {

class Deadline {
public:
  Deadline() : Deadline(Millis{-1}) {} // never
  Deadline(Millis timeout)             // from now; negative: never
      : m_never(timeout < Millis::zero()), m_at(real_clock().mono() + timeout) {}

  Millis left() const {
    return m_never ? Millis::max() : std::max(m_at - real_clock().mono(), Millis::zero());
  }
  bool never() const { return m_never; }
  bool passed() const { return !m_never && left() == Millis::zero(); }
  // -1: waits for ever.
  int poll_ms() const {
    return m_never ? -1 : static_cast<int>(std::min<int64_t>(left().count(), INT_MAX));
  }

private:
  bool m_never;
  Millis m_at;
};

} // namespace chillbox::os
