// Durations and moments as text for people.
#pragma once

#include "base/error.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox::cli {

// "90", "90s", "500ms", "2m", "1h", "7d"; at most 366 days. usage otherwise.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
// A moment in Unix seconds: a duration from `now`, "2026-11-20" (the end of that day, UTC),
// "2026-11-20T17:33:34Z".
Result<int64_t> parse_moment(std::string_view text, int64_t now);
// "2026-11-20 17:33:34" in the time zone of this machine; "" for 0.
std::string format_time(int64_t unix_ms);
// "12 s ago", "2 min ago", "3 h ago", "8 days ago"; "in 2 min" for what is to come.
std::string format_age(int64_t unix_ms, int64_t now_ms);
// For a table: "17:33:34, 2 min ago", and from a day on "2026-11-20, 8 days ago"; "" for 0.
std::string format_when(int64_t unix_ms, int64_t now_ms);
std::string format_duration(
    std::chrono::milliseconds time); // "0.4 s", "12 s", "3 min 5 s", "4 h 2 min", "3 d 4 h"

} // namespace chillbox::cli
