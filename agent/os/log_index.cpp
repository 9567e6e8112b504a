#include "os/log_index.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::os {
namespace {

constexpr uint32_t k_release_mask = (1U << (64 - k_log_time_bits)) - 1;

void write_u64(char* bytes, uint64_t value) {
  for (unsigned i = 0; i < 8; ++i)
    bytes[i] = static_cast<char>(value >> 8 * i & 0xff);
}

} // namespace

std::array<char, k_log_mark> encode(const LogMark& mark) {
  std::array<char, k_log_mark> bytes{};
  const auto ms = static_cast<uint64_t>(std::max<int64_t>(mark.ms, 0)) & k_log_time_mask;
  write_u64(bytes.data(), mark.offset);
  write_u64(bytes.data() + 8, ms | uint64_t{mark.release & k_release_mask} << k_log_time_bits);
  return bytes;
}

uint32_t release_number(std::string_view release) {
  const auto dash = release.rfind('-');
  const auto number =
      dash == std::string_view::npos ? std::nullopt : parse_u64(release.substr(dash + 1));
  return static_cast<uint32_t>(number.value_or(0) & k_release_mask);
}

} // namespace chillbox::os
