// Next to a log NAME lies NAME.at: marks, each of which says from which byte on NAME was written
// when, and by which release. What writes the log writes them (os/log_writer.hpp), so that lines
// without a time of their own have one, and a line of some hour is found in a large file without
// reading it. A log without them is a log all the same: its lines are of unknown time.
//
// A mark is 16 bytes, little endian: the offset in NAME (u64), then milliseconds since 1970 (44
// bits) and the N of the release VERSION-N (20 bits, 0: of no release).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace chillbox::os {

inline constexpr size_t k_log_mark = 16;
inline constexpr unsigned k_log_time_bits = 44;
inline constexpr uint64_t k_log_time_mask = (uint64_t{1} << k_log_time_bits) - 1;
inline constexpr std::string_view k_log_marks = ".at"; // NAME.at

struct LogMark {
  uint64_t offset = 0;
  int64_t ms = 0;
  uint32_t release = 0;
};

std::array<char, k_log_mark> encode(const LogMark& mark);
// The N of VERSION-N; 0: the text is no release.
uint32_t release_number(std::string_view release);

} // namespace chillbox::os
