// Small pure functions on text: joining, splitting, showing what a stranger sent.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox {

namespace detail {
inline void append(std::string& out, std::string_view s) {
  out += s;
}
inline void append(std::string& out, char c) {
  out += c;
}
inline void append(std::string& out, std::integral auto n) {
  out += std::to_string(n);
}
} // namespace detail

// The parts as one string: cat("site '", name, "': exit ", 3).
template <class... Parts> std::string cat(const Parts&... parts) {
  std::string out;
  (detail::append(out, parts), ...);
  return out;
}

std::string_view trim(std::string_view s); // spaces, tabs, CR, LF at both ends
std::vector<std::string_view> split(
    std::string_view s, char sep); // keeps empty parts; "" is one empty part
// Of a string that goes with its expression nothing may point into it.
template <std::same_as<std::string> S> std::string trim(S&& s) {
  return std::string(trim(std::string_view(s)));
}
template <std::same_as<std::string> S>
std::vector<std::string_view> split(S&& s, char sep) = delete;
std::string join(const std::vector<std::string>& parts, std::string_view sep);
bool is_one_of(std::string_view word, const std::vector<std::string>& words);
// For messages: control characters and bytes that are not UTF-8 as \xNN, cut after `limit` bytes
// with "...".
std::string printable(std::string_view s, size_t limit = 200);
bool is_utf8(std::string_view s);
// Of a file as an editor or a shell saved it: without the byte order mark of UTF-8.
std::string_view without_byte_order_mark(std::string_view s);
// Why it is refused, with what to do; "": it is no UTF-16.
std::string_view utf16_problem(std::string_view s);
// Decimal without sign, space or leading zero ("0" itself is fine); nullopt otherwise or on
// overflow.
std::optional<uint64_t> parse_u64(std::string_view s);
// The candidate nearest to `word` by edit distance, when near enough to be a typing error.
std::optional<std::string> nearest(
    std::string_view word, const std::vector<std::string>& candidates);
std::string human_size(uint64_t bytes); // "3.2 MB" (powers of 1000)
// Wall time, seconds since 1970, as RFC 3339 in UTC: "2026-11-20T17:33:34Z".
std::string rfc3339(int64_t unix_seconds);

} // namespace chillbox
