#include "nginx/count_line.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace chillbox::nginx {
namespace {

constexpr size_t k_fields = 10;

std::optional<double> seconds_of(std::string_view text) {
  double value = 0;
  const auto end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  if (text.empty() || error != std::errc() || at != end || !(value > -1e11 && value < 1e11))
    return std::nullopt;
  return std::max(0.0, value);
}

std::optional<uint16_t> code_of(std::string_view text) {
  if (text.size() != 3 || !std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  return static_cast<uint16_t>((text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0'));
}

// The parts of "A, B : C".
template <class Take> void each_part(std::string_view text, Take&& take) {
  while (!text.empty()) {
    const auto end = std::min(text.find(", "), text.find(" : "));
    take(text.substr(0, end));
    if (end == std::string_view::npos)
      return;
    text.remove_prefix(end + (text[end] == ',' ? 2 : 3));
  }
}

bool cut(std::string_view text, std::array<std::string_view, k_fields>& fields) {
  for (size_t i = 0; i < k_fields; ++i) {
    const auto end = text.find('|');
    if ((end == std::string_view::npos) != (i + 1 == k_fields))
      return false;
    fields[i] = text.substr(0, end);
    text.remove_prefix(
        std::min(text.size(), end == std::string_view::npos ? text.size() : end + 1));
  }
  return true;
}

} // namespace

std::string counts_format(const SiteName& site) {
  return cat("log_format ", site.str(),
      "-counts '$msec|$status|$request_time|$bytes_sent|$request_length|$upstream_cache_status|"
      "$chillbox_answered|$upstream_addr|$upstream_response_time|$upstream_status';\n");
}

std::optional<CountLine> read_count_line(std::string_view text) {
  std::array<std::string_view, k_fields> f;
  if (!cut(text, f))
    return std::nullopt;
  const auto time = seconds_of(f[0]), took = seconds_of(f[2]);
  const auto status = code_of(f[1]);
  const auto sent = parse_u64(f[3]), received = parse_u64(f[4]);
  if (!time || *time < 1 || !took || !status || !sent || !received)
    return std::nullopt;
  CountLine line{.status = *status,
      .seconds = *took,
      .sent = *sent,
      .received = *received,
      .upstream_seconds = {}};
  line.time_ms = static_cast<int64_t>(*time * 1000 + 0.5);
  line.cache = f[5] == "-" ? std::string_view() : f[5];
  each_part(f[7], [&](std::string_view part) { line.upstream = part == "-" ? "" : part; });
  each_part(f[8], [&](std::string_view part) {
    if (const auto more = seconds_of(part))
      line.upstream_seconds = line.upstream_seconds.value_or(0) + *more;
  });
  each_part(f[9], [&](std::string_view part) {
    const auto code = code_of(part);
    line.answered = code && f[6] == "1" && *code != 304 && *code != 499; // of the last
    line.bad = line.bad || (code && *code / 100 == 5);
  });
  return line;
}

} // namespace chillbox::nginx
