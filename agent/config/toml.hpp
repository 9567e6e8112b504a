// TOML as the JSON value that it means, with the line of each key, so that one engine checks both
// (fields.hpp). Dates, numbers that JSON does not have, and more than 32
// levels are refused.
#pragma once

#include "config/fields.hpp"

namespace chillbox::config {

inline constexpr size_t k_max_toml = 256 * 1024;

// invalid: "FILE:LINE: what toml++ says". Paths in `lines` are "section.key", elements of arrays
// "key[0]".
Result<Json> parse_toml(std::string_view text, std::string_view file, Lines& lines);

} // namespace chillbox::config
