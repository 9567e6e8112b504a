// A moment on the monotonic clock, as poll(2) wants it. For this room only.
#pragma once

#include "os/clock.hpp"

#include <algorithm>
#include <climits>
#include <cstdint>

namespace chillbox::os {

class Deadline {
public:
  explicit Deadline(Millis timeout)
      : m_never(timeout < Millis::zero()), m_at(real_clock().mono() + timeout) {}

  Millis left() const {
    return m_never ? Millis::max() : std::max(m_at - real_clock().mono(), Millis::zero());
  }
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
