// From when to when, in milliseconds since 1970, both ends included: of a history or of logs.
#pragma once

#include <cstdint>
#include <limits>

namespace chillbox::control {

struct Period {
  int64_t since_ms = 0, until_ms = std::numeric_limits<int64_t>::max();
  bool any() const { return since_ms > 0 || until_ms < std::numeric_limits<int64_t>::max(); }
};

} // namespace chillbox::control
