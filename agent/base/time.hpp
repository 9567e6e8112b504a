// Spans of time in milliseconds, for points in time that the clock or a peer gives as such.
#pragma once

#include <cstdint>

namespace chillbox {

inline constexpr int64_t k_minute_ms = 60'000;
inline constexpr int64_t k_hour_ms = 60 * k_minute_ms;
inline constexpr int64_t k_day_ms = 24 * k_hour_ms;

} // namespace chillbox
