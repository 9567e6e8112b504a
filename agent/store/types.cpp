#include "store/types.hpp"

#include "base/encoding.hpp"

#include <array>
#include <atomic>
#include <string>

namespace chillbox::store {
std::string new_job_id(int64_t now_ms) {
  constexpr unsigned k_counter_bits = 20;
  static std::atomic<uint64_t> next = std::stoul(random_token(3), nullptr, 16);
  uint64_t value =
      static_cast<uint64_t>(now_ms) << k_counter_bits | (next++ & ((1U << k_counter_bits) - 1));
  std::array<uint8_t, sizeof value> bytes;
  for (auto at = bytes.rbegin(); at != bytes.rend(); ++at, value >>= 8)
    *at = static_cast<uint8_t>(value);
  return hex(bytes);
}

} // namespace chillbox::store
